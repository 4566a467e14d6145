import { KubeError } from './error.ts';

/** One call for all who want its result: each may give up for himself, and the call is ended when all have. */
export class SharedCall<Result> {
  readonly #call: (signal: AbortSignal) => Promise<Result>;
  #running: Running<Result> | undefined;

  constructor(call: (signal: AbortSignal) => Promise<Result>) {
    this.#call = call;
  }

  async wait(signal: AbortSignal | undefined): Promise<Result> {
    if (signal?.aborted) throw givenUp(signal);
    const running = this.#join();
    const { promise: aborted, reject } = Promise.withResolvers<never>();
    const giveUp = () => reject(givenUp(signal));
    signal?.addEventListener('abort', giveUp);
    try {
      return await Promise.race([running.result, aborted]);
    } finally {
      signal?.removeEventListener('abort', giveUp);
      this.#leave(running);
    }
  }

  #join(): Running<Result> {
    this.#running ??= this.#start();
    this.#running.waiting++;
    return this.#running;
  }

  #start(): Running<Result> {
    const ending = new AbortController();
    const result = this.#call(ending.signal).finally(() => {
      if (this.#running === running) this.#running = undefined;
    });
    const running = { result, ending, waiting: 0 };
    return running;
  }

  #leave(running: Running<Result>): void {
    if (--running.waiting > 0 || this.#running !== running) return;
    this.#running = undefined;
    running.ending.abort();
  }
}

function givenUp(signal: AbortSignal | undefined): KubeError {
  return new KubeError('aborted', 'given up', { cause: signal?.reason });
}

interface Running<Result> {
  readonly result: Promise<Result>;
  readonly ending: AbortController;
  waiting: number;
}
