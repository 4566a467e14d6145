import { type Datapath, KernelDeviceFlag, type KernelDrops, NotSupportedError } from '@sluice/datapath';
import type { Endpoints } from '@sluice/endpoint';
import type { NodesFeature } from '@sluice/nodes';
import type { Clock, LifecyclePart, Logger } from '@sluice/runtime';
import { type Controllers, reconciler } from '@sluice/state';
import { hookedDevices } from './hooked-devices.ts';
import type { State } from './report.ts';

export interface KernelDropsOptions {
  readonly datapath: () => Datapath;
  readonly endpoints: () => Endpoints | undefined;
  readonly nodes: () => NodesFeature;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

/** Sees what the kernel drops on devices of ours. A kernel that does not tell is no reason not to start. */
export class KernelDropsPart implements LifecyclePart {
  readonly name = 'kernel-drops';
  drops: KernelDrops | undefined;
  /** `off`: the kernel lacks what it takes. */
  state: State = 'off';
  why: string | undefined = 'starting';
  readonly #options: KernelDropsOptions;
  readonly #stack = new AsyncDisposableStack();

  constructor(options: KernelDropsOptions) {
    this.#options = options;
  }

  start(): void {
    const { log } = this.#options;
    try {
      this.drops = this.#stack.use(this.#options.datapath().openKernelDrops());
    } catch (error) {
      this.#report(error);
      log.warn({ error }, 'what the kernel drops cannot be seen');
      return;
    }
    this.#report(undefined);
    this.#followDevices();
  }

  async stop(): Promise<void> {
    await this.#stack.disposeAsync();
    this.drops = undefined;
  }

  #report(error: unknown): void {
    this.state = error === undefined ? 'ok' : error instanceof NotSupportedError ? 'off' : 'degraded';
    this.why = error === undefined ? undefined : error instanceof Error ? error.message : String(error);
  }

  #followDevices(): void {
    const { log, clock, controllers, nodes } = this.#options;
    const maps = this.#options.datapath().maps;
    const devices = reconciler<number>({
      name: 'kernel-drop-devices',
      log,
      clock,
      controllers,
      desired: () => this.#devices(),
      operations: {
        update: (flags, ifindex) => maps.kernelDevices.update(Number(ifindex), flags),
        delete: (ifindex) => void maps.kernelDevices.delete(Number(ifindex)),
        list: () => [...maps.kernelDevices.entries()].map(([ifindex, flags]) => [String(ifindex), flags] as const),
      },
    });
    devices.start();
    this.#stack.defer(() => devices.stop());
    this.#stack.use(nodes().devices.subscribe(() => devices.trigger()));
    this.#stack.use(nodes().onFactsChange(() => devices.trigger()));
    const endpoints = this.#options.endpoints();
    if (endpoints) this.#stack.use(endpoints.table.subscribe(() => devices.trigger()));
  }

  /** Ours, and those that others use, too: by ifindex as text. */
  #devices(): ReadonlyMap<string, number> {
    const { own, shared } = hookedDevices(this.#options.nodes(), this.#options.endpoints());
    return new Map([
      ...shared.map((ifindex) => [String(ifindex), KernelDeviceFlag.Shared] as const),
      ...own.map((ifindex) => [String(ifindex), 0] as const),
    ]);
  }
}
