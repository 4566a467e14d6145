import type { PodDevices } from './device.ts';
import { type Endpoint, type EndpointTable, endpointKey } from './endpoint.ts';

export interface GarbageOptions {
  readonly table: EndpointTable;
  readonly devices: PodDevices;
  /** Devices of attachments that are being made or removed. */
  readonly inProgress: () => Iterable<string>;
}

export interface Garbage {
  /** Endpoints whose device is gone. */
  readonly lost: readonly Endpoint[];
  /** Devices that belong to no endpoint. */
  readonly leaked: readonly string[];
}

/** Finds what two looks in a row found: a pod's namespace may be going while DEL is on its way. */
export class GarbageSearch {
  readonly #options: GarbageOptions;
  #suspects: ReadonlySet<string> = new Set();

  constructor(options: GarbageOptions) {
    this.#options = options;
  }

  next(): Garbage {
    const { table, devices, inProgress } = this.#options;
    const owned = new Set([...table.list().map((row) => row.hostName), ...inProgress()]);
    // One that somebody renamed still carries its pod's packets.
    const lost = table.list().filter((row) => !devices.isThere(row.hostIfindex));
    const leaked = devices.list().flatMap(({ name }) => (owned.has(name) ? [] : [name]));
    const before = this.#suspects;
    this.#suspects = new Set([...lost.map(endpointKey), ...leaked]);
    return {
      lost: lost.filter((row) => before.has(endpointKey(row))),
      leaked: leaked.filter((name) => before.has(name)),
    };
  }
}
