/** Numbers of include/uapi/linux/bpf.h, for what this library uses; program and attach types: `program-type.ts`. */
import { ProgramType } from './program-type.ts';

export const Command = {
  mapCreate: 0,
  mapLookupElem: 1,
  mapUpdateElem: 2,
  mapDeleteElem: 3,
  mapGetNextKey: 4,
  progLoad: 5,
  objPin: 6,
  objGet: 7,
  progTestRun: 10,
  progGetFdById: 13,
  mapGetFdById: 14,
  objGetInfoByFd: 15,
  progQuery: 16,
  btfLoad: 18,
  btfGetFdById: 19,
  mapFreeze: 22,
  mapLookupBatch: 24,
  mapUpdateBatch: 26,
  mapDeleteBatch: 27,
  linkCreate: 28,
  linkUpdate: 29,
  linkGetFdById: 30,
  enableStats: 32,
  iterCreate: 33,
  linkDetach: 34,
} as const;

export const MapType = {
  hash: 1,
  array: 2,
  percpuHash: 5,
  percpuArray: 6,
  lruHash: 9,
  lruPercpuHash: 10,
  lpmTrie: 11,
  skStorage: 24,
  ringbuf: 27,
} as const;

export const MapFlag = { noPrealloc: 1, readOnlyForPrograms: 1 << 7 } as const;

export const LinkType = { rawTracepoint: 1, tracing: 2, cgroup: 3, iter: 4, xdp: 6, tcx: 11 } as const;

const perCpuTypes: readonly number[] = [MapType.percpuHash, MapType.percpuArray, MapType.lruPercpuHash];
const arrayTypes: readonly number[] = [MapType.array, MapType.percpuArray];
const lruTypes: readonly number[] = [MapType.lruHash, MapType.lruPercpuHash];

/** Whether each CPU has a value of its own. */
export function isPerCpuType(type: number): boolean {
  return perCpuTypes.includes(type);
}

export function isArrayType(type: number): boolean {
  return arrayTypes.includes(type);
}

export function isLruType(type: number): boolean {
  return lruTypes.includes(type);
}

/** `lru_hash` for 9, as people write it. */
export function mapTypeName(type: number): string {
  return nameOf(MapType, type);
}

/** `sched_cls` for 3. */
export function programTypeName(type: number): string {
  return nameOf(ProgramType, type);
}

function nameOf(numbers: Readonly<Record<string, number>>, wanted: number): string {
  const entry = Object.entries(numbers).find(([, number]) => number === wanted);
  return entry === undefined ? `type ${wanted}` : entry[0].replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
