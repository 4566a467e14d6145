/**
 * What the kernel has of services, and how it is changed.
 *
 * Order of writes, so that no packet meets a dangling reference: backends, slots of a new generation, its Maglev table,
 * then the frontend in one write. What the old generation alone used goes after a grace, when no packet can hold it any more.
 */
import type { TypedMap } from '@sluice/bpf';
import {
  type Backend,
  type Frontend,
  FrontendFlag,
  type FrontendKey,
  FrontendScope,
  type MaglevChunk,
  type MaglevKey,
  type Slot,
  type SlotKey,
  type SourceRangeKey,
} from '@sluice/datapath';
import { protocolName, protocolNumbers } from '@sluice/model';
import { familyOf, isLoopback } from '@sluice/net';
import { AffinityIds } from './affinity-ids.ts';
import { type DesiredFrontend, keyOf } from './frontend.ts';
import { IdPool } from './id-pool.ts';
import { AddressTable } from './kernel-addresses.ts';
import { BackendTable } from './kernel-backends.ts';
import { chunkCount, type FoundChunk, type MaglevSettings, MaglevTables } from './maglev-tables.ts';
import { sourceRangeKey, sourceRangeOf, sourceRangeTexts } from './source-ranges.ts';

export interface ServiceMaps {
  readonly frontends: TypedMap<FrontendKey, Frontend>;
  readonly slots: TypedMap<SlotKey, Slot>;
  readonly backends: TypedMap<number, Backend>;
  readonly sourceRanges: TypedMap<SourceRangeKey, number>;
  readonly maglev: TypedMap<MaglevKey, MaglevChunk>;
}

interface ActualFrontend {
  readonly key: FrontendKey;
  /** Both its set of slots and its rev-NAT index. */
  readonly id: number;
  readonly generation: number;
  readonly affinitySeconds: number;
  /** 0: no affinity. */
  readonly affinityId: number;
  /** FrontendFlag */
  readonly flags: number;
  readonly backendIds: readonly number[];
  /** As text, in order. */
  readonly sourceRanges: readonly string[];
  /** 0: no table. */
  readonly maglevSize: number;
  /** Of its chunks one is missing or damaged, or was made by another seed. */
  readonly isMaglevStale: boolean;
}

/** Slots and backends that a packet under way may still read. */
interface Retired {
  readonly dueMs: number;
  readonly generations: readonly Generation[];
  readonly backendIds: readonly number[];
  /** Not 0: the frontend is gone altogether and so is its id. */
  readonly id: number;
}

/** Rows that come and go together. */
interface Generation {
  readonly serviceId: number;
  readonly generation: number;
  /** Of its slots. */
  readonly count: number;
  readonly sourceRanges: readonly string[];
  readonly maglevSize: number;
}

export interface Repairs {
  /** Rows that differed from what we believed the kernel to have. */
  readonly count: number;
}

export interface KernelServicesOptions {
  readonly maps: ServiceMaps;
  readonly maglev: MaglevSettings;
  /** Milliseconds of a monotonic clock. */
  readonly nowMs: () => number;
  /** How long the old generation stays after the flip; default 1000. */
  readonly graceMs?: number;
}

export class KernelServices {
  readonly #maps: ServiceMaps;
  readonly #nowMs: () => number;
  readonly #graceMs: number;
  readonly #ids = new IdPool();
  readonly #affinityIds = new AffinityIds(this.#ids);
  /** The last one given. Frontends count together: a number names one set of backends, which affinity relies on. */
  #generation = 0;
  readonly #frontends = new Map<string, ActualFrontend>();
  readonly #backends: BackendTable;
  readonly #addresses: AddressTable;
  readonly #maglev: MaglevTables;
  /** In the order in which they fall due. */
  readonly #retired: Retired[] = [];

  constructor(options: KernelServicesOptions) {
    this.#maps = options.maps;
    this.#nowMs = options.nowMs;
    this.#graceMs = options.graceMs ?? 1000;
    this.#backends = new BackendTable(options.maps.backends);
    this.#addresses = new AddressTable(options.maps.frontends);
    this.#maglev = new MaglevTables(options.maps.maglev, options.maglev);
    this.#read();
  }

  /** Keys of the frontends that the kernel serves, ours or left by an earlier agent. */
  keys(): string[] {
    return [...this.#frontends.keys()];
  }

  /** Makes the kernel serve a frontend as desired; writes nothing when it already does. Returns the frontend's id. */
  update(desired: DesiredFrontend): number {
    const actual = this.#frontends.get(desired.key);
    const backendIds = this.#backends.acquire(desired.backends);
    const affinityId = this.#affinityId(desired, actual);
    const maglevSize = this.#maglev.sizeFor(desired);
    if (actual && isServedAs(actual, desired, { backendIds, affinityId, maglevSize })) {
      this.#backends.release(backendIds);
      return actual.id;
    }
    return this.#flip(desired, actual, { backendIds, affinityId, maglevSize });
  }

  /** Whether `update` may have a Maglev table to make, which takes a while. */
  wantsTable(desired: DesiredFrontend): boolean {
    return this.#maglev.sizeFor(desired) > 0;
  }

  /** Why a frontend that asks for Maglev is served at random; undefined: it is not. */
  whyRandom(desired: DesiredFrontend): string | undefined {
    return this.#maglev.whyNone(desired);
  }

  /** Ends a frontend; one that is not there is ended already. */
  delete(key: string): void {
    const actual = this.#frontends.get(key);
    this.#affinityIds.leave(key);
    this.#maglev.leave(key);
    if (actual === undefined) return;
    this.#maps.frontends.delete(actual.key);
    this.#frontends.delete(key);
    this.#retire({ generations: [generationOf(actual)], backendIds: actual.backendIds, id: actual.id });
    this.#addresses.change(actual.key, actual.flags, undefined);
  }

  /** Deletes what retired long enough ago. When that fails it throws, and `compare` removes what has stayed. */
  collect(): void {
    this.#maglev.forget();
    const now = this.#nowMs();
    for (let first = this.#retired[0]; first !== undefined && first.dueMs <= now; first = this.#retired[0]) {
      this.#retired.shift();
      this.#bury(first);
    }
  }

  /** Milliseconds until there is something to collect; undefined: there is nothing. */
  get nextCollectionMs(): number | undefined {
    const first = this.#retired[0];
    return first === undefined ? undefined : Math.max(0, first.dueMs - this.#nowMs());
  }

  /** Reads the maps again and removes what belongs to no frontend; differences to our belief are counted. */
  compare(): Repairs {
    const believed = new Map([...this.#frontends].map(([key, frontend]) => [key, summary(frontend)]));
    const chunks = this.#read();
    let count = 0;
    for (const [key, frontend] of this.#frontends) {
      if (believed.get(key) !== summary(frontend)) count += 1;
      believed.delete(key);
    }
    return { count: count + believed.size + this.#removeOrphans(chunks) };
  }

  #affinityId(desired: DesiredFrontend, actual: ActualFrontend | undefined): number {
    if (desired.affinitySeconds > 0)
      return this.#affinityIds.join(affinityGroup(desired), desired.key, actual?.affinityId ?? 0);
    this.#affinityIds.leave(desired.key);
    return 0;
  }

  #flip(desired: DesiredFrontend, actual: ActualFrontend | undefined, chosen: Chosen): number {
    const { backendIds } = chosen;
    const id = actual?.id ?? this.#ids.take();
    const key = frontendKey(desired);
    this.#generation = nextGeneration(this.#generation);
    const written: ActualFrontend = {
      ...chosen,
      isMaglevStale: false,
      key,
      id,
      generation: this.#generation,
      affinitySeconds: desired.affinitySeconds,
      flags: flagsOf(desired),
      sourceRanges: sourceRangeTexts(desired.sourceRanges),
    };
    let [next, isMarked] = [written, false];
    try {
      this.#write(written);
      next = { ...written, maglevSize: this.#maglev.write(generationOf(written), desired) };
      // Before the frontend: when there is no room for the mark, no frontend stays behind whose slots are gone.
      this.#addresses.change(key, actual?.flags, next.flags);
      isMarked = true;
      this.#maps.frontends.update(key, frontendValue(next));
    } catch (error) {
      if (isMarked) this.#addresses.change(key, next.flags, actual?.flags);
      this.#bury({ generations: [generationOf(written)], backendIds, id: actual ? 0 : id });
      throw error;
    }
    this.#frontends.set(desired.key, next);
    if (actual !== undefined)
      this.#retire({ generations: [generationOf(actual)], backendIds: actual.backendIds, id: 0 });
    return id;
  }

  /** Everything that the frontend's row will lead to. */
  #write({ id: serviceId, generation, backendIds, sourceRanges }: ActualFrontend): void {
    this.#maps.slots.updateBatch(
      backendIds.map((backendId, slot) => [{ serviceId, generation, slot }, { backendId }] as const),
    );
    this.#maps.sourceRanges.updateBatch(
      sourceRanges.map((range) => [sourceRangeKey({ serviceId, generation }, range), ALLOWED] as const),
    );
  }

  #retire(retired: Omit<Retired, 'dueMs'>): void {
    this.#retired.push({ ...retired, dueMs: this.#nowMs() + this.#graceMs });
  }

  #bury(retired: Omit<Retired, 'dueMs'>): void {
    for (const generation of retired.generations) {
      this.#maps.slots.deleteBatch(slotKeys(generation));
      this.#maps.sourceRanges.deleteBatch(generation.sourceRanges.map((range) => sourceRangeKey(generation, range)));
      this.#maglev.delete(generation, generation.maglevSize);
    }
    this.#backends.release(retired.backendIds);
    if (retired.id === 0) return;
    this.#ids.give(retired.id);
  }

  /** What is there before anything is written: ids, generations and backends of an earlier agent stay as they are. */
  #read(): readonly FoundChunk[] {
    this.#backends.read();
    this.#addresses.clear();
    this.#frontends.clear();
    const sourceRanges = this.#readSourceRanges();
    const chunks = this.#maglev.read();
    const whole = Map.groupBy(
      chunks.filter(({ isWhole }) => isWhole),
      generationName,
    );
    for (const [key, value] of this.#maps.frontends.entries()) {
      if (AddressTable.isMark(key)) {
        this.#addresses.found(key, value);
        continue;
      }
      this.#addresses.hold(key, value.flags);
      const backendIds = this.#readSlots(value);
      this.#backends.hold(backendIds);
      this.#ids.claim(value.serviceId);
      if (value.affinityId !== 0) this.#ids.claim(value.affinityId);
      this.#generation = Math.max(this.#generation, value.generation);
      this.#frontends.set(rowKey(key), {
        key,
        id: value.serviceId,
        generation: value.generation,
        affinitySeconds: value.affinitySeconds,
        affinityId: value.affinityId,
        flags: value.flags,
        backendIds,
        sourceRanges: sourceRanges.get(generationName(value)) ?? [],
        maglevSize: value.maglevSize,
        isMaglevStale: chunkCount(value.maglevSize) !== (whole.get(generationName(value))?.length ?? 0),
      });
    }
    for (const retired of this.#retired) this.#backends.hold(retired.backendIds);
    return chunks;
  }

  /** A missing slot reads as backend 0, which no desired list has: the next update writes a whole new generation. */
  #readSlots(value: Frontend): number[] {
    return Array.from({ length: value.backendCount }, (_, slot) => {
      const found = this.#maps.slots.lookup({ serviceId: value.serviceId, generation: value.generation, slot });
      return found === undefined || !this.#backends.has(found.backendId) ? 0 : found.backendId;
    });
  }

  /** By their generation, in order. */
  #readSourceRanges(): ReadonlyMap<string, readonly string[]> {
    const ranges = new Map<string, string[]>();
    for (const [key] of this.#maps.sourceRanges.entries()) {
      const name = generationName(key);
      ranges.set(name, [...(ranges.get(name) ?? []), sourceRangeOf(key)].sort());
    }
    return ranges;
  }

  #removeOrphans(found: readonly FoundChunk[]): number {
    const live = new Set([
      ...[...this.#frontends.values()].map((frontend) => generationName(generationOf(frontend))),
      ...this.#retired.flatMap((retired) => retired.generations).map(generationName),
    ]);
    const isOrphan = (key: GenerationKey) => !live.has(generationName(key));
    const slots = [...this.#maps.slots.entries()].map(([key]) => key).filter(isOrphan);
    const sourceRanges = [...this.#maps.sourceRanges.entries()].map(([key]) => key).filter(isOrphan);
    this.#maps.slots.deleteBatch(slots);
    this.#maps.sourceRanges.deleteBatch(sourceRanges);
    const chunks = found.filter(isOrphan);
    this.#maglev.deleteChunks(chunks);
    return (
      slots.length + sourceRanges.length + chunks.length + this.#backends.removeUnused() + this.#addresses.repair()
    );
  }
}

/** A row of `source_ranges` says all by being there. */
const ALLOWED = 1;

/** What was found out for a frontend before it is written. */
type Chosen = Pick<ActualFrontend, 'backendIds' | 'affinityId' | 'maglevSize'>;

function isServedAs(
  actual: ActualFrontend,
  desired: DesiredFrontend,
  { backendIds, affinityId, maglevSize }: Chosen,
): boolean {
  return (
    actual.affinityId === affinityId &&
    actual.affinitySeconds === desired.affinitySeconds &&
    actual.maglevSize === maglevSize &&
    !actual.isMaglevStale &&
    actual.flags === flagsOf(desired) &&
    actual.backendIds.length === backendIds.length &&
    actual.backendIds.every((id, slot) => id === backendIds[slot]) &&
    actual.sourceRanges.join() === sourceRangeTexts(desired.sourceRanges).join()
  );
}

function frontendKey({ address, port, protocol, scope }: DesiredFrontend): FrontendKey {
  return { address, port, protocol: protocolNumbers[protocol], scope: scopes[scope] };
}

const scopes = { internal: FrontendScope.Internal, external: FrontendScope.External } as const;

/** As DesiredFrontend has it. */
function rowKey(key: FrontendKey): string {
  const place = keyOf(key, protocolName(key.protocol));
  return key.scope === FrontendScope.External ? `${place}/external` : place;
}

function flagsOf(frontend: DesiredFrontend): number {
  const { address, type, affinitySeconds, isExternal, isElsewhere, sourceRanges, isNodeAllowed, forwarding } = frontend;
  return (
    (affinitySeconds > 0 ? FrontendFlag.Affinity : 0) |
    (isExternal ? FrontendFlag.External : 0) |
    (isElsewhere ? FrontendFlag.Elsewhere : 0) |
    (isLoopback(address) ? FrontendFlag.Loopback : 0) |
    (sourceRanges === undefined ? 0 : FrontendFlag.SourceRanges | (isNodeAllowed ? FrontendFlag.NodeAllowed : 0)) |
    (forwarding === 'dsr' ? FrontendFlag.Dsr : 0) |
    (type === 'ExternalIP' ? FrontendFlag.Shared : 0)
  );
}

function frontendValue(frontend: ActualFrontend): Frontend {
  const { id, generation, backendIds, affinitySeconds, affinityId, flags, maglevSize } = frontend;
  const counts = { backendCount: backendIds.length, maglevSize };
  return { serviceId: id, generation, ...counts, affinitySeconds, affinityId, flags };
}

/** A port of a service in one family: what kube-proxy remembers a client for. */
function affinityGroup({ service, portName, protocol, address }: DesiredFrontend): string {
  return `${service}:${portName}/${protocol}/${familyOf(address)}`;
}

/** 32 bits, never 0. */
function nextGeneration(generation: number): number {
  return generation >= 0xffff_ffff ? 1 : generation + 1;
}

type GenerationKey = Pick<Generation, 'serviceId' | 'generation'>;

function generationName({ serviceId, generation }: GenerationKey): string {
  return `${serviceId}/${generation}`;
}

function generationOf({ id, generation, backendIds, sourceRanges, maglevSize }: ActualFrontend): Generation {
  return { serviceId: id, generation, count: backendIds.length, sourceRanges, maglevSize };
}

function slotKeys({ serviceId, generation, count }: Generation): SlotKey[] {
  return Array.from({ length: count }, (_, slot) => ({ serviceId, generation, slot }));
}

function summary(frontend: ActualFrontend): string {
  const { id, generation, affinitySeconds, affinityId, flags, backendIds, sourceRanges } = frontend;
  const maglev = `${frontend.maglevSize}${frontend.isMaglevStale ? ' stale' : ''}`;
  return `${id}/${generation}/${affinitySeconds}/${affinityId}/${flags}/${backendIds.join(',')}/${sourceRanges.join(',')}/${maglev}`;
}
