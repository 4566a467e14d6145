import { rmSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { peerCredentials } from '@sluice/ffi';
import { type Clock, type Logger, listenPrivately, type PrivateSocket, systemClock } from '@sluice/runtime';
import { converse, type Outcome, type Peer } from './conversation.ts';
import { CniCode, CniError } from './error.ts';
import type { CniHandler } from './handler.ts';
import { encodeMessage, type Message, MessageReader } from './message.ts';
import { newestVersion } from './version.ts';

export interface CniServerOptions {
  readonly path: string;
  readonly handler: CniHandler;
  readonly log: Logger;
  readonly clock?: Clock;
  /** Who may ask besides root; default nobody. */
  readonly allowedUids?: readonly number[];
  /** Requests worked on at once; default 16. */
  readonly concurrentMax?: number;
  /** Requests waiting for their turn; default 512. More are told to try again. */
  readonly waitingMax?: number;
  /** Between two messages of the program; default 30 s. */
  readonly messageTimeoutMs?: number;
  /** Told of each request that was answered; `code` of a refusal. */
  readonly onAnswer?: (answer: CniAnswer) => void;
}

export interface CniAnswer {
  readonly command: string;
  readonly code: number | undefined;
  readonly seconds: number;
}

export interface CniServer {
  readonly socket: PrivateSocket;
  close(): Promise<void>;
}

/** Serves `sluice-cni` on a unix socket that only root can open, and asks the kernel who it is nevertheless. */
export async function startCniServer(options: CniServerOptions): Promise<CniServer> {
  const queue = new Queue(options.concurrentMax ?? 16, options.waitingMax ?? 512);
  const open = new Set<Socket>();
  const server = createServer((socket) => {
    open.add(socket);
    socket.on('close', () => open.delete(socket));
    serve(socket, queue, options);
  });
  const listening = await listenPrivately(server, options.path);
  return {
    socket: listening,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()));
      for (const socket of open) socket.destroy();
      await closed;
    },
  };
}

function serve(socket: Socket, queue: Queue, options: CniServerOptions): void {
  const peer = new SocketPeer(socket, options.clock ?? systemClock, options.messageTimeoutMs ?? 30_000);
  const { uid, pid } = peerCredentials(socket);
  if (uid !== 0 && !options.allowedUids?.includes(uid)) {
    options.log.warn({ uid, pid }, 'refused a CNI request: only root may ask');
    peer.refuse(new CniError(CniCode.InvalidEnvironment, `user ${uid} may not ask the agent: run sluice-cni as root`));
    return;
  }
  const accepted = queue.run(async () => {
    const startedNs = process.hrtime.bigint();
    const outcome = await converse(peer, withMarkedStatus(options));
    peer.end();
    const seconds = Number(process.hrtime.bigint() - startedNs) / 1e9;
    options.onAnswer?.({ command: outcome.command, code: outcome.error?.code, seconds });
    const milliseconds = Math.round(seconds * 1e5) / 100;
    const facts = { command: outcome.command, attachment: outcome.subject, milliseconds };
    logOutcome(outcome, facts, options.log);
  });
  if (!accepted) {
    peer.refuse(
      new CniError(CniCode.TryAgain, 'too many CNI requests are waiting on this node', {
        details: 'the runtime tries again',
      }),
    );
  }
}

/** The mark is there before the answer is: who has heard it can count on it. */
function withMarkedStatus(options: CniServerOptions): CniHandler {
  const { handler } = options;
  return {
    add: (request) => handler.add(request),
    check: (request) => handler.check(request),
    remove: (request) => handler.remove(request),
    collect: (request) => handler.collect(request),
    status() {
      try {
        handler.status();
      } catch (error) {
        markStatus(options, false);
        throw error;
      }
      markStatus(options, true);
    },
  };
}

/** Kept for `sluice-cni`: with it the last good answer stands while no agent is there to give the next. */
function markStatus({ path, log }: CniServerOptions, good: boolean): void {
  const marker = `${path}.available`;
  try {
    if (good) writeFileSync(marker, '', { mode: 0o600 });
    else rmSync(marker, { force: true });
  } catch (error) {
    log.warn({ error, marker }, 'the answer to STATUS cannot be kept: it will not stand while the agent is away');
  }
}

// A kubelet asks for the status every few seconds.
function logOutcome({ command, error }: Outcome, facts: object, log: Logger): void {
  if (error) log.warn({ ...facts, code: error.code, error: error.message }, 'CNI request refused');
  else if (command === 'STATUS') log.debug(facts, 'CNI request answered');
  else log.info(facts, 'CNI request answered');
}

/** Runs a bounded number at once, keeps a bounded number waiting, in order. */
class Queue {
  readonly #concurrentMax: number;
  readonly #waitingMax: number;
  readonly #waiting: (() => Promise<void>)[] = [];
  #running = 0;

  constructor(concurrentMax: number, waitingMax: number) {
    this.#concurrentMax = concurrentMax;
    this.#waitingMax = waitingMax;
  }

  /** False: the queue is full. The task must not reject. */
  run(task: () => Promise<void>): boolean {
    if (this.#running < this.#concurrentMax) {
      this.#start(task);
      return true;
    }
    if (this.#waiting.length >= this.#waitingMax) return false;
    this.#waiting.push(task);
    return true;
  }

  #start(task: () => Promise<void>): void {
    this.#running += 1;
    void task().finally(() => {
      this.#running -= 1;
      const next = this.#waiting.shift();
      if (next) this.#start(next);
    });
  }
}

class SocketPeer implements Peer {
  readonly #socket: Socket;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #reader = new MessageReader();
  #wanted: PromiseWithResolvers<Message> | undefined;
  #failure: CniError | undefined;

  constructor(socket: Socket, clock: Clock, timeoutMs: number) {
    this.#socket = socket;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    socket.on('data', (chunk: Buffer) => this.#guarded(() => this.#reader.push(chunk)));
    socket.on('error', () => this.#fail(new CniError(CniCode.Io, 'sluice-cni went away')));
    socket.on('close', () => this.#fail(new CniError(CniCode.Io, 'sluice-cni went away before its request was done')));
  }

  send(fields: readonly (readonly [string, string])[]): void {
    if (this.#socket.writable) this.#socket.write(encodeMessage(fields));
  }

  async receive(): Promise<Message> {
    const wanted = Promise.withResolvers<Message>();
    const timer = this.#clock.setTimeout(
      () => wanted.reject(new CniError(CniCode.Io, `sluice-cni was silent for ${this.#timeoutMs} ms`)),
      this.#timeoutMs,
    );
    this.#wanted = wanted;
    this.#guarded(() => undefined);
    try {
      return await wanted.promise;
    } finally {
      timer.cancel();
      this.#wanted = undefined;
    }
  }

  refuse(error: CniError): void {
    this.send([
      ['kind', 'error'],
      ['body', `${error.format(newestVersion)}\n`],
    ]);
    this.end();
  }

  /** Goes on reading what still comes: closing with unread bytes would reset the answer away. */
  end(): void {
    if (this.#socket.destroyed) return;
    this.#socket.resume();
    this.#socket.end();
    const timer = this.#clock.setTimeout(() => this.#socket.destroy(), this.#timeoutMs);
    this.#socket.once('close', () => timer.cancel());
  }

  #guarded(step: () => void): void {
    try {
      step();
      if (!this.#wanted) return;
      if (this.#failure) throw this.#failure;
      const message = this.#reader.next();
      if (message) this.#wanted.resolve(message);
    } catch (thrown) {
      this.#fail(CniError.from(thrown));
    }
  }

  #fail(error: CniError): void {
    this.#failure ??= error;
    this.#wanted?.reject(this.#failure);
  }
}
