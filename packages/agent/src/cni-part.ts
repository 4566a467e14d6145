import { basename, dirname } from 'node:path';
import {
  type CniAnswer,
  type CniHandler,
  configurationsIn,
  setOthersAside,
  startCniServer,
  writeCniConfiguration,
} from '@sluice/cni';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import type { Controller, Controllers } from '@sluice/state';
import { LastingSocket } from './lasting-socket.ts';

export interface CniPartOptions {
  readonly socket: string;
  /** Asked when it starts. */
  readonly handler: () => CniHandler;
  /** Undefined: somebody else writes it. */
  readonly configFile: string | undefined;
  /** Whether configurations of others are renamed, so that runtimes do not see them. */
  readonly isExclusive: boolean;
  readonly onAnswer: (answer: CniAnswer) => void;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

const intervalMs = 10_000;

/** What a container runtime finds of us: the socket behind `sluice-cni`, and the configuration that names the plugin. */
export class CniPart implements LifecyclePart {
  readonly name = 'cni';
  readonly #options: CniPartOptions;
  readonly #socket: LastingSocket;
  #configuring: Controller | undefined;

  constructor(options: CniPartOptions) {
    const { socket: path, handler, onAnswer, controllers, clock, log } = options;
    this.#options = options;
    const open = () => startCniServer({ path, handler: handler(), onAnswer, log, clock });
    this.#socket = new LastingSocket({ name: 'cni-socket', open, controllers, log });
  }

  async start(): Promise<void> {
    const { configFile, controllers } = this.#options;
    await this.#socket.start();
    if (configFile === undefined) return;
    const run = () => this.#configure(configFile);
    this.#configuring = controllers.start({ name: 'cni-configuration', intervalMs, run });
  }

  async stop(): Promise<void> {
    await this.#configuring?.stop();
    await this.#socket.stop();
  }

  /** Why a runtime would not come to us. */
  problems(): string[] {
    const { configFile } = this.#options;
    const rival = configFile === undefined ? undefined : configurationBefore(configFile);
    return [this.#socket.problem, rival].filter((problem) => problem !== undefined);
  }

  #configure(path: string): void {
    const written = writeCniConfiguration(path, { agentSocket: this.#options.socket });
    if (written) this.#options.log.info({ path }, 'wrote the CNI configuration');
    // After ours is there: a runtime that finds none calls its node unready.
    const aside = this.#options.isExclusive ? setOthersAside(path) : [];
    if (aside.length > 0)
      this.#options.log.warn({ aside }, 'set CNI configurations of others aside, see cni.exclusive');
  }
}

/** Runtimes take the first file of the folder, by name. */
function configurationBefore(configFile: string): string | undefined {
  const folder = dirname(configFile);
  const files = configurationsIn(folder);
  if (!files.includes(basename(configFile))) return `${configFile} is missing, it is written again within 10 s`;
  const [first] = files;
  return first === basename(configFile)
    ? undefined
    : `runtimes use ${folder}/${first}, which comes before ours: remove it, then restart the pods that it has connected`;
}
