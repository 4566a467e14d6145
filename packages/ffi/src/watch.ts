import koffi from 'koffi';

type PollHandle = ReturnType<typeof koffi.node.poll>;

export interface WatchOptions {
  /** An exception of the callback, or a descriptor that does nothing but fail; default: thrown as uncaught. */
  onError?: (error: unknown) => void;
  /** Whether the watch alone keeps the process alive. Default true. */
  keepAlive?: boolean;
  /** For so long after a callback nothing wakes us: a stream of small things becomes one of bundles. Default: 0. */
  restMs?: number;
}

// koffi's handles end with their garbage collection: something must refer to each until it is disposed of.
const watches = new Set<PollHandle>();

// libuv reports POLLERR (an overrun netlink socket, say) as EBADF and stops watching. The callback's recv clears the
// error; one that comes this often in a row is not going to be cleared.
const ERRORS_IN_A_ROW_MAX = 16;

/**
 * Calls `onReadable` on the main loop whenever the descriptor is readable, by libuv's own poll: no thread, for any
 * descriptor that epoll takes. The callback drains until nothing is left. Dispose before closing the descriptor.
 */
export function watchReadable(fd: number, onReadable: () => void, options: WatchOptions = {}): Disposable {
  const onError = options.onError ?? throwUncaught;
  let errors = 0;
  const onPoll = (status: number): void => {
    errors = status < 0 ? errors + 1 : 0;
    if (errors > ERRORS_IN_A_ROW_MAX) {
      onError(new Error(`descriptor ${fd} reports errors that reading does not clear: no longer watched`));
    } else {
      if (status < 0) start(handle, onPoll);
      callSafely(onReadable, onError);
      if (options.restMs) rest(handle, options, () => start(handle, onPoll));
    }
    // A callback that comes from libuv past Node leaves ticks and promises waiting for the loop's next turn, which may
    // never come: an immediate makes it come now.
    setImmediate(settle);
  };
  const handle = koffi.node.poll(fd, { readable: true }, onPoll as unknown as () => void);
  if (options.keepAlive === false) handle.unref();
  watches.add(handle);
  return {
    [Symbol.dispose]() {
      if (watches.delete(handle)) handle.close();
    },
  };
}

// koffi declares the callback without the status that it passes first (3.3.4).
function start(handle: PollHandle, onPoll: (status: number) => void): void {
  if (watches.has(handle)) handle.start({ readable: true }, onPoll as unknown as () => void);
}

function rest(handle: PollHandle, { restMs, keepAlive }: WatchOptions, then: () => void): void {
  if (!watches.has(handle)) return;
  handle.stop();
  const timer = setTimeout(then, restMs);
  if (keepAlive === false) timer.unref();
}

function callSafely(callback: () => void, onError: (error: unknown) => void): void {
  try {
    callback();
  } catch (error) {
    onError(error);
  }
}

function throwUncaught(error: unknown): void {
  setImmediate(() => {
    throw error;
  });
}

function settle(): void {
  // Nothing to do: having run is the purpose.
}
