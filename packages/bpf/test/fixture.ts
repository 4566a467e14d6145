import { join } from 'node:path';
import { compileBpf } from '@sluice/testing';
import { parseObject } from '../src/object.ts';
import type { ObjectSpec } from '../src/spec.ts';

/** The spec of `test/fixtures/<name>.bpf.c`, for tests. */
export function fixture(name: string): ObjectSpec {
  return parseObject(compileBpf(join(import.meta.dirname, 'fixtures', `${name}.bpf.c`)), name);
}

/** What a Map holds under a key that the test knows to be there. */
export function required<K, V>(map: ReadonlyMap<K, V>, key: K): V {
  const value = map.get(key);
  if (value === undefined) throw new Error(`no ${String(key)} among ${[...map.keys()].join(', ')}`);
  return value;
}
