/**
 * Backends in the kernel, shared by all frontends that use them and gone with the last one.
 */
import type { TypedMap } from '@sluice/bpf';
import { type Backend, BackendState } from '@sluice/datapath';
import { protocolName, protocolNumbers } from '@sluice/model';
import { type BackendStateName, type DesiredBackend, keyOf } from './frontend.ts';
import { IdPool } from './id-pool.ts';

interface ActualBackend {
  readonly key: string;
  readonly state: number;
}

const states: Readonly<Record<BackendStateName, number>> = {
  active: BackendState.Active,
  terminating: BackendState.Terminating,
};

export class BackendTable {
  readonly #map: TypedMap<number, Backend>;
  readonly #ids = new IdPool();
  readonly #idByKey = new Map<string, number>();
  readonly #byId = new Map<number, ActualBackend>();
  readonly #users = new Map<number, number>();

  constructor(map: TypedMap<number, Backend>) {
    this.#map = map;
  }

  has(id: number): boolean {
    return this.#byId.has(id);
  }

  /** Takes over what the kernel has; who uses it is told by `hold` afterwards. */
  read(): void {
    for (const table of [this.#idByKey, this.#byId, this.#users]) table.clear();
    for (const [id, backend] of this.#map.entries()) {
      const key = keyOf(backend, protocolName(backend.protocol));
      this.#ids.claim(id);
      this.#idByKey.set(key, id);
      this.#byId.set(id, { key, state: backend.state });
    }
  }

  hold(ids: readonly number[]): void {
    for (const id of ids) this.#users.set(id, (this.#users.get(id) ?? 0) + 1);
  }

  /** Ids of the backends, written to the kernel where they are new or in another state. Counts as one use of each. */
  acquire(backends: readonly DesiredBackend[]): number[] {
    const writes: [number, Backend][] = [];
    const ids = backends.map((backend) => {
      const id = this.#idByKey.get(backend.key) ?? this.#ids.take();
      const state = states[backend.state];
      if (this.#byId.get(id)?.state !== state) {
        writes.push([id, { ...address(backend), state }]);
        this.#idByKey.set(backend.key, id);
        this.#byId.set(id, { key: backend.key, state });
      }
      return id;
    });
    this.#write(writes);
    this.hold(ids);
    return ids;
  }

  /** A write that fails (map full) is as if it had not been tried: what the kernel took of it is removed again. */
  #write(writes: readonly (readonly [number, Backend])[]): void {
    try {
      this.#map.updateBatch(writes);
    } catch (error) {
      const unused = writes.map(([id]) => id).filter((id) => !this.#users.has(id));
      for (const id of unused) this.#forget(id);
      this.#map.deleteBatch(unused);
      throw error;
    }
  }

  release(ids: readonly number[]): void {
    const unused = ids.filter((id) => this.#drop(id));
    this.#map.deleteBatch(unused);
  }

  /** Ends the backends that nobody holds; how many there were. */
  removeUnused(): number {
    const unused = [...this.#byId.keys()].filter((id) => !this.#users.has(id));
    for (const id of unused) this.#forget(id);
    this.#map.deleteBatch(unused);
    return unused.length;
  }

  /** True when that was the last use. */
  #drop(id: number): boolean {
    const users = (this.#users.get(id) ?? 0) - 1;
    if (users > 0) {
      this.#users.set(id, users);
      return false;
    }
    this.#users.delete(id);
    return this.#forget(id);
  }

  #forget(id: number): boolean {
    const backend = this.#byId.get(id);
    if (backend === undefined) return false;
    this.#byId.delete(id);
    this.#idByKey.delete(backend.key);
    this.#ids.give(id);
    return true;
  }
}

function address(backend: DesiredBackend): Omit<Backend, 'state'> {
  return { address: backend.address, port: backend.port, protocol: protocolNumbers[backend.protocol] };
}
