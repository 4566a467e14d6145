import assert from 'node:assert/strict';
import { test } from 'node:test';
import { MapFlag, MapType } from '../src/kernel-constants.ts';
import { perCpu, possibleCpus } from '../src/per-cpu.ts';
import type { Codec, MapDescriptor } from '../src/spec.ts';
import type { TypedMap } from '../src/typed-map.ts';

/** Makes a map for the test that asks; the maker disposes of it when the test ends. */
export type MakeMap = <K, V>(descriptor: MapDescriptor<K, V>) => TypedMap<K, V>;

/** What every TypedMap does, be it in the kernel or in memory: registers the tests under the given subject. */
export function mapCompliance(subject: string, makeMap: MakeMap): void {
  const named = (name: string, run: () => void) => test(`${subject}: ${name}`, run);
  hashCompliance(makeMap, named);
  arrayCompliance(makeMap, named);
  lruCompliance(makeMap, named);
  trieCompliance(makeMap, named);
  perCpuCompliance(makeMap, named);
}

type Named = (name: string, run: () => void) => void;

function hashCompliance(makeMap: MakeMap, named: Named): void {
  named('what was written is found, what was not is undefined', () => {
    const map = makeMap(hash());
    map.update(7, 70n);
    assert.equal(map.lookup(7), 70n);
    assert.equal(map.lookup(8), undefined);
  });

  named('update replaces', () => {
    const map = makeMap(hash());
    map.update(7, 70n);
    map.update(7, 71n);
    assert.equal(map.lookup(7), 71n);
    assert.equal(map.count(), 1);
  });

  named('create refuses what is there, exist refuses what is not', () => {
    const map = makeMap(hash());
    map.update(7, 70n, 'create');
    assert.throws(() => map.update(7, 71n, 'create'), { code: 'EEXIST' });
    assert.throws(() => map.update(8, 80n, 'exist'), { code: 'ENOENT' });
    map.update(7, 72n, 'exist');
    assert.deepEqual([...map.entries()], [[7, 72n]]);
  });

  named('delete says whether the key was there', () => {
    const map = makeMap(hash());
    map.update(7, 70n);
    assert.equal(map.delete(7), true);
    assert.equal(map.delete(7), false);
    assert.equal(map.lookup(7), undefined);
  });

  named('full map refuses a new key with E2BIG and still replaces old ones', () => {
    const map = makeMap(hash(4));
    for (let key = 0; key < 4; key += 1) map.update(key, 0n);
    assert.throws(() => map.update(4, 0n), { code: 'E2BIG' });
    map.update(3, 33n);
    assert.equal(map.lookup(3), 33n);
  });

  named('batches write, read and delete many rows', () => {
    const map = makeMap(hash(20_000));
    const rows = Array.from({ length: 20_000 }, (_, key): [number, bigint] => [key, BigInt(key) * 3n]);
    map.updateBatch(rows);
    assert.equal(map.count(), rows.length);
    assert.deepEqual([...map.entries()].sort(byKey), rows);
    assert.equal(map.deleteBatch(rows.slice(0, 15_000).map(([key]) => key)), 15_000);
    assert.deepEqual([...map.entries()].sort(byKey), rows.slice(15_000));
  });

  named('batch that does not fit writes the rows before, and the error is E2BIG', () => {
    const map = makeMap(hash(3));
    const rows = Array.from({ length: 5 }, (_, key): [number, bigint] => [key, 1n]);
    assert.throws(() => map.updateBatch(rows), { code: 'E2BIG' });
    assert.deepEqual([...map.entries()].sort(byKey), rows.slice(0, 3));
  });

  named('deleting a batch passes over what is not there', () => {
    const map = makeMap(hash());
    for (const key of [1, 2, 3]) map.update(key, 0n);
    assert.equal(map.deleteBatch([0, 1, 9, 3, 3, 10]), 2);
    assert.deepEqual([...map.entries()], [[2, 0n]]);
    assert.equal(map.deleteBatch([]), 0);
  });

  named('rows may be deleted while they are read, and each is seen once', () => {
    const map = makeMap(hash(5000));
    map.updateBatch(Array.from({ length: 5000 }, (_, key): [number, bigint] => [key, 0n]));
    const seen: number[] = [];
    for (const [key] of map.entries()) {
      seen.push(key);
      map.delete(key);
    }
    assert.equal(new Set(seen).size, 5000);
    assert.equal(seen.length, 5000);
    assert.equal(map.count(), 0);
  });

  named('empty map has no entries', () => {
    assert.deepEqual([...makeMap(hash()).entries()], []);
    assert.equal(makeMap(hash()).count(), 0);
  });
}

function arrayCompliance(makeMap: MakeMap, named: Named): void {
  named('array holds zeros from the start, one row for each index', () => {
    const map = makeMap(array(3));
    const zeros = [0, 1, 2].map((key) => [key, 0n]);
    assert.deepEqual([...map.entries()], zeros);
    assert.equal(map.count(), 3);
  });

  named('array refuses an index behind its end, creating and deleting', () => {
    const map = makeMap(array(3));
    assert.equal(map.lookup(3), undefined);
    assert.throws(() => map.update(3, 1n), { code: 'E2BIG' });
    assert.throws(() => map.update(1, 1n, 'create'), { code: 'EEXIST' });
    assert.throws(() => map.delete(1), { code: 'EINVAL' });
    map.updateBatch([
      [0, 5n],
      [2, 7n],
    ]);
    assert.equal(map.lookup(2), 7n);
  });
}

function lruCompliance(makeMap: MakeMap, named: Named): void {
  named('LRU makes room for every new row and never holds more than its limit', () => {
    const limit = 1024;
    const map = makeMap({ ...hash(limit), type: MapType.lruHash, flags: 0 });
    for (let key = 0; key < limit * 3; key += 1) map.update(key, BigInt(key));
    assert.ok(map.count() <= limit, `${map.count()} rows`);
    assert.equal(map.lookup(limit * 3 - 1), BigInt(limit * 3 - 1));
  });
}

function trieCompliance(makeMap: MakeMap, named: Named): void {
  named('longest prefix wins', () => {
    const map = makeMap(trie());
    map.update({ length: 0, bits: 0 }, 1n);
    map.update({ length: 8, bits: 0x0a000000 }, 8n);
    map.update({ length: 24, bits: 0x0a000100 }, 24n);
    assert.equal(map.lookup({ length: 32, bits: 0x0a000105 }), 24n);
    assert.equal(map.lookup({ length: 32, bits: 0x0a000205 }), 8n);
    assert.equal(map.lookup({ length: 32, bits: 0x0b000000 }), 1n);
    assert.equal(map.lookup({ length: 16, bits: 0x0a000100 }), 8n);
  });

  named('prefix is deleted exactly, and bits behind its end do not count', () => {
    const map = makeMap(trie());
    map.update({ length: 8, bits: 0x0a010203 }, 8n);
    map.update({ length: 8, bits: 0x0a000000 }, 9n);
    assert.equal(map.count(), 1);
    assert.equal(map.delete({ length: 16, bits: 0x0a000000 }), false);
    assert.equal(map.delete({ length: 8, bits: 0x0affffff }), true);
    assert.equal(map.lookup({ length: 32, bits: 0x0a000000 }), undefined);
  });

  named('prefix longer than the key is EINVAL', () => {
    const map = makeMap(trie());
    assert.throws(() => map.update({ length: 33, bits: 0 }, 0n), { code: 'EINVAL' });
  });

  named('full trie refuses a new prefix with ENOSPC', () => {
    const map = makeMap({ ...trie(), maxEntries: 1 });
    map.update({ length: 8, bits: 0x0a000000 }, 0n);
    assert.throws(() => map.update({ length: 8, bits: 0x0b000000 }, 0n), { code: 'ENOSPC' });
  });

  named('prefixes are read, written and deleted in batches, also while they are deleted', () => {
    const map = makeMap(trie());
    const rows = Array.from({ length: 5000 }, (_, n): [Prefix, bigint] => [{ length: 32, bits: n * 7 }, BigInt(n)]);
    map.updateBatch(rows);
    const byValue = (left: [Prefix, bigint], right: [Prefix, bigint]) => Number(left[1] - right[1]);
    assert.deepEqual([...map.entries()].sort(byValue), rows);
    let seen = 0;
    for (const [key] of map.entries()) {
      seen += 1;
      if (seen % 2 === 0) map.delete(key);
    }
    assert.equal(seen, 5000);
    assert.equal(map.count(), 2500);
    assert.equal(map.deleteBatch(rows.map(([key]) => key)), 2500);
  });
}

function perCpuCompliance(makeMap: MakeMap, named: Named): void {
  const cpus = possibleCpus();
  const values = (seed: number) => Array.from({ length: cpus }, (_, cpu) => BigInt(seed * 100 + cpu));

  named('per-CPU hash holds a value for each CPU', () => {
    const map = makeMap(perCpu({ ...hash(), type: MapType.percpuHash }));
    map.update(1, values(1));
    map.updateBatch([[2, values(2)]]);
    assert.deepEqual(map.lookup(2), values(2));
    assert.deepEqual([...map.entries()].sort(byKey), [
      [1, values(1)],
      [2, values(2)],
    ]);
    assert.equal(map.delete(1), true);
    assert.equal(map.count(), 1);
  });

  named('per-CPU array holds a value for each CPU and index', () => {
    const map = makeMap(perCpu(smallPerCpuArray()));
    map.update(
      1,
      Array.from({ length: cpus }, (_, cpu) => cpu + 1),
    );
    const zeros = Array.from({ length: cpus }, () => 0);
    assert.deepEqual(map.lookup(0), zeros);
    assert.deepEqual(
      map.lookup(1),
      zeros.map((_, cpu) => cpu + 1),
    );
  });

  named('wrong number of CPUs is refused', () => {
    const map = makeMap(perCpu({ ...hash(), type: MapType.percpuHash }));
    assert.throws(() => map.update(1, [...values(1), 0n]), RangeError);
  });
}

const u32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, true),
  decode: (view, offset) => view.getUint32(offset, true),
};
const u64: Codec<bigint> = {
  size: 8,
  encode: (value, view, offset) => view.setBigUint64(offset, value, true),
  decode: (view, offset) => view.getBigUint64(offset, true),
};

interface Prefix {
  readonly length: number;
  readonly bits: number;
}

const prefix: Codec<Prefix> = {
  size: 8,
  encode(value, view, offset) {
    view.setUint32(offset, value.length, true);
    view.setUint32(offset + 4, value.bits);
  },
  decode: (view, offset) => ({ length: view.getUint32(offset, true), bits: view.getUint32(offset + 4) }),
};

function hash(maxEntries = 64): MapDescriptor<number, bigint> {
  return {
    name: 'compliance_hash',
    type: MapType.hash,
    keySize: 4,
    valueSize: 8,
    maxEntries,
    flags: MapFlag.noPrealloc,
    key: u32,
    value: u64,
    keyLayout: '',
    valueLayout: '',
  };
}

function array(maxEntries: number): MapDescriptor<number, bigint> {
  return { ...hash(maxEntries), name: 'compliance_array', type: MapType.array, flags: 0 };
}

// Four bytes a value: each CPU's is rounded up to eight.
function smallPerCpuArray(): MapDescriptor<number, number> {
  return { ...array(2), type: MapType.percpuArray, valueSize: 4, value: u32 };
}

function trie(): MapDescriptor<Prefix, bigint> {
  return { ...hash(5000), name: 'compliance_trie', type: MapType.lpmTrie, keySize: 8, key: prefix };
}

function byKey(left: readonly [number, unknown], right: readonly [number, unknown]): number {
  return left[0] - right[0];
}
