import { readFileSync } from 'node:fs';
import type { Codec, MapDescriptor } from './spec.ts';

/**
 * The descriptor of a per-CPU map as user space sees it: a value for each possible CPU, in their order. Generated
 * descriptors tell what one CPU sees.
 */
export function perCpu<K, V>(
  descriptor: MapDescriptor<K, V>,
  cpus: number = possibleCpus(),
): MapDescriptor<K, readonly V[]> {
  return { ...descriptor, value: perCpuCodec(descriptor.value, cpus) };
}

/** Bytes of one map value for user space: each CPU's is rounded up to 8. */
export function perCpuValueBytes(valueSize: number, cpus: number = possibleCpus()): number {
  return stride(valueSize) * cpus;
}

/** CPUs that could ever be plugged in: fixed at boot, often more than are there. */
export function possibleCpus(): number {
  return countCpus(readFileSync('/sys/devices/system/cpu/possible', 'utf8'));
}

/** Counts a list like `0-3,8`. */
export function countCpus(list: string): number {
  let count = 0;
  for (const range of list.trim().split(',')) {
    const [first, last] = range.split('-').map(Number);
    count += (last ?? first ?? Number.NaN) - (first ?? Number.NaN) + 1;
  }
  if (!(count > 0)) throw new TypeError(`not a list of CPUs: ${JSON.stringify(list)}`);
  return count;
}

function perCpuCodec<V>(one: Codec<V>, cpus: number): Codec<readonly V[]> {
  const step = stride(one.size);
  return {
    size: step * cpus,
    encode(values, view, offset) {
      if (values.length !== cpus) throw new RangeError(`${values.length} values for ${cpus} possible CPUs`);
      for (const [cpu, value] of values.entries()) one.encode(value, view, offset + cpu * step);
    },
    decode: (view, offset) => Array.from({ length: cpus }, (_, cpu) => one.decode(view, offset + cpu * step)),
  };
}

function stride(size: number): number {
  return Math.ceil(size / 8) * 8;
}
