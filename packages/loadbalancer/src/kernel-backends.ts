/**
 * Backends in the kernel, shared by all frontends that use them and gone with the last one.
 */
import type { TypedMap } from '@sluice/bpf';
import { type Backend, BackendState } from '@sluice/datapath';
import { protocolName, protocolNumbers } from '@sluice/model';
import { type BackendStateName, type DesiredBackend, keyOf } from './frontend.ts';
import { IdPool } from './id-pool.ts';

interface ActualBackend {
  readonly id: number;
  readonly key: string;
  /** BackendState; undefined: who knows whether the kernel has it. */
  state: number | undefined;
  users: number;
}

const states: Readonly<Record<BackendStateName, number>> = {
  active: BackendState.Active,
  terminating: BackendState.Terminating,
};

export class BackendTable {
  readonly #map: TypedMap<number, Backend>;
  readonly #ids = new IdPool();
  readonly #byKey = new Map<string, ActualBackend>();
  readonly #byId: (ActualBackend | undefined)[] = [];

  constructor(map: TypedMap<number, Backend>) {
    this.#map = map;
  }

  has(id: number): boolean {
    return this.#byId[id] !== undefined;
  }

  /** Takes over what the kernel has; who uses it is told by `hold` afterwards. */
  read(): void {
    this.#byKey.clear();
    this.#byId.length = 0;
    for (const [id, backend] of this.#map.entries()) {
      this.#ids.claim(id);
      this.#add(id, keyOf(backend, protocolName(backend.protocol))).state = backend.state;
    }
  }

  hold(ids: readonly number[]): void {
    for (const id of ids) {
      const backend = this.#byId[id];
      if (backend) backend.users += 1;
    }
  }

  /** Ids of the backends, written to the kernel where they are new or in another state. Counts as one use of each. */
  acquire(backends: readonly DesiredBackend[]): number[] {
    const writes: [number, Backend][] = [];
    const ids = backends.map(({ key, address, port, protocol, state: name }) => {
      const backend = this.#byKey.get(key) ?? this.#add(this.#ids.take(), key);
      const state = states[name];
      if (backend.state !== state) {
        writes.push([backend.id, { address, port, protocol: protocolNumbers[protocol], state }]);
        backend.state = state;
      }
      backend.users += 1;
      return backend.id;
    });
    this.#write(writes, ids);
    return ids;
  }

  /** A write that fails (map full) is as if it had not been tried: what the kernel took of it is removed again. */
  #write(writes: readonly (readonly [number, Backend])[], ids: readonly number[]): void {
    try {
      this.#map.updateBatch(writes);
    } catch (error) {
      for (const [id] of writes) this.#lack(id);
      this.release(ids);
      throw error;
    }
  }

  /** What the kernel has of it is not known. */
  #lack(id: number): void {
    const backend = this.#byId[id];
    if (backend) backend.state = undefined;
  }

  release(ids: readonly number[]): void {
    const unused = ids.filter((id) => this.#drop(id));
    this.#map.deleteBatch(unused);
  }

  /** Ends the backends that nobody holds; how many there were. */
  removeUnused(): number {
    const unused = Object.values(this.#byId).filter((backend) => backend?.users === 0);
    for (const backend of unused) if (backend) this.#forget(backend);
    this.#map.deleteBatch(unused.flatMap((backend) => backend?.id ?? []));
    return unused.length;
  }

  #add(id: number, key: string): ActualBackend {
    const backend: ActualBackend = { id, key, state: undefined, users: 0 };
    this.#byKey.set(key, backend);
    this.#byId[id] = backend;
    return backend;
  }

  /** True when that was the last use. */
  #drop(id: number): boolean {
    const backend = this.#byId[id];
    if (backend === undefined) return false;
    backend.users -= 1;
    if (backend.users > 0) return false;
    this.#forget(backend);
    return true;
  }

  #forget(backend: ActualBackend): void {
    const { id, key } = backend;
    this.#byId[id] = undefined;
    if (this.#byKey.get(key) === backend) this.#byKey.delete(key);
    this.#ids.give(id);
  }
}
