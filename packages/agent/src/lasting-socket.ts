import type { Logger, PrivateSocket } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';

/** Something that listens on a unix socket of ours. */
export interface SocketServer {
  readonly socket: PrivateSocket;
  close(): Promise<void>;
}

export interface LastingSocketOptions {
  /** Of its controller. */
  readonly name: string;
  readonly open: () => Promise<SocketServer>;
  readonly controllers: Controllers;
  readonly log: Logger;
}

const intervalMs = 10_000;

/** A server whose socket is made anew when somebody removes it: who looks for us would find nobody, while all seems well. */
export class LastingSocket {
  readonly #options: LastingSocketOptions;
  #server: SocketServer | undefined;
  #looking: Controller | undefined;

  constructor(options: LastingSocketOptions) {
    this.#options = options;
  }

  async start(): Promise<void> {
    const { name, open, controllers } = this.#options;
    this.#server = await open();
    this.#looking = controllers.start({ name, intervalMs, run: () => this.#look() });
  }

  async stop(): Promise<void> {
    await this.#looking?.stop();
    await this.#server?.close();
  }

  /** Undefined while we can be found. */
  get problem(): string | undefined {
    const socket = this.#server?.socket;
    if (!socket) return 'the socket is not open';
    return socket.isThere() ? undefined : `somebody has removed ${socket.path}, it is made anew within 10 s`;
  }

  async #look(): Promise<void> {
    if (this.problem === undefined) return;
    this.#options.log.warn({ socket: this.#server?.socket.path }, 'our socket is gone, making it anew');
    // First, for closing removes what is at the path.
    await this.#server?.close();
    this.#server = undefined;
    this.#server = await this.#options.open();
  }
}
