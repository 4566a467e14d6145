import { closeSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { SystemError } from './errors.ts';
import { checked, libcFunction } from './libc.ts';
import { bindMount, unmount } from './mount.ts';

const nativeSetns = libcFunction('int setns(int fd, int type)');
const nativeUnshare = libcFunction('int unshare(int flags)');

const CLONE_NEWNET = 0x40000000;
const OWN_NAMESPACE = '/proc/thread-self/ns/net';

/**
 * Runs `section` with this thread inside another network namespace. The section is fully synchronous and opens its
 * sockets by FFI: Node opens its own later, outside, and threads born inside would stay there for ever.
 * When the way back fails the process aborts: going on in a foreign namespace would be worse.
 */
export function inNetworkNamespace<Result>(namespace: string | number, section: () => Result): Result {
  return awayFromHome(() => enter(namespace), section);
}

/** Makes a network namespace and pins it at `path` (a file made for it), like `ip netns add`. */
export function createNetworkNamespace(path: string): void {
  writeFileSync(path, '', { flag: 'wx', mode: 0o600 });
  try {
    awayFromHome(
      () => checked(nativeUnshare(CLONE_NEWNET), 'unshare', 'network namespace'),
      () => bindMount(OWN_NAMESPACE, path),
    );
  } catch (error) {
    rmSync(path, { force: true });
    throw error;
  }
}

/** Unpins the namespace; the kernel frees it when the last process and descriptor have left. Missing is success. */
export function removeNetworkNamespace(path: string): void {
  unmount(path, { missingIsSuccess: true });
  rmSync(path, { force: true });
}

function awayFromHome<Result>(leave: () => void, section: () => Result): Result {
  const home = openSync(OWN_NAMESPACE, 'r');
  try {
    leave();
    try {
      const result = section();
      if (result instanceof Promise) throw new TypeError('a section in a network namespace must be synchronous');
      return result;
    } finally {
      const result = nativeSetns(home, CLONE_NEWNET);
      if (result < 0) abortAway(-result);
    }
  } finally {
    closeSync(home);
  }
}

function enter(namespace: string | number): void {
  if (typeof namespace === 'number') {
    checked(nativeSetns(namespace, CLONE_NEWNET), 'setns', `to network namespace of fd ${namespace}`);
    return;
  }
  const fd = openSync(namespace, 'r');
  try {
    checked(nativeSetns(fd, CLONE_NEWNET), 'setns', `to network namespace ${namespace}`);
  } finally {
    closeSync(fd);
  }
}

function abortAway(errno: number): never {
  console.error(new SystemError('setns', errno, 'back to the own network namespace').message);
  process.abort();
}
