import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Logger } from '@sluice/runtime';

export interface GracePeriodsOptions {
  /** Where sysfs is mounted. */
  readonly sysPath: string;
  /** A file that is there while we have the kernel hurry. */
  readonly markerPath: string;
  readonly log: Logger;
}

/** Runs a call during which the kernel hurries. */
export type Expedite = <Result>(run: () => Result) => Result;

/**
 * To attach the first program at a device's hook takes a grace period of RCU (tcx_entry_sync in the kernel's
 * include/net/tcx.h): the kernel waits, with the lock of all devices held, until no CPU uses what was there. 7 to 14 ms
 * for each pod, in which nobody else can change a device either. Where the kernel waits for its own changes of devices
 * (synchronize_net) it expedites that: it asks the CPUs instead of waiting for them. So do we, for the moment of the
 * call, which then takes 0.25 ms. rcu_normal, which real-time kernels set, has precedence in the kernel itself.
 *
 * Somebody else's setting stays. What an agent left that was killed within the moment, the next one puts back.
 */
export function expeditedGracePeriods(options: GracePeriodsOptions): Expedite {
  const setting = new ExpeditedSetting(options);
  return (run) => {
    using _expedited = setting.begin();
    return run();
  };
}

class ExpeditedSetting {
  readonly #path: string;
  readonly #markerPath: string;
  readonly #log: Logger;
  #isPossible = true;

  constructor({ sysPath, markerPath, log }: GracePeriodsOptions) {
    this.#path = join(sysPath, 'kernel/rcu_expedited');
    this.#markerPath = markerPath;
    this.#log = log;
    if (existsSync(markerPath)) this.#attempt(() => this.#end());
  }

  /** Undefined: it is so already, or cannot be; then all is as without us. */
  begin(): Disposable | undefined {
    if (!this.#isPossible) return undefined;
    return this.#attempt(() => {
      if (readFileSync(this.#path, 'utf8').trim() !== '0') return undefined;
      writeFileSync(this.#markerPath, '');
      this.#hurry();
      return { [Symbol.dispose]: () => void this.#attempt(() => this.#end()) };
    });
  }

  #hurry(): void {
    try {
      writeFileSync(this.#path, '1');
    } catch (error) {
      // What the next one would put back is not ours.
      rmSync(this.#markerPath, { force: true });
      throw error;
    }
  }

  #end(): void {
    writeFileSync(this.#path, '0');
    rmSync(this.#markerPath, { force: true });
  }

  #attempt<Result>(act: () => Result): Result | undefined {
    try {
      return act();
    } catch (error) {
      this.#isPossible = false;
      this.#log.info(
        { path: this.#path, error },
        'the kernel cannot be made to hurry: a new pod takes some 10 ms longer',
      );
      return undefined;
    }
  }
}
