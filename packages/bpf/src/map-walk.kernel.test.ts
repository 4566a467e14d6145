import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSystemError } from '@sluice/ffi';
import fc from 'fast-check';
import { createFakeMap } from './fake-map.ts';
import { MapFlag, MapType } from './kernel-constants.ts';
import { BpfMap } from './map.ts';
import { u32Codec } from './scalar-codec.ts';
import type { Codec, MapDescriptor } from './spec.ts';
import { openMap, type TypedMap, type UpdateMode } from './typed-map.ts';

/** {prefix length, one byte of bits, padding}: small enough that random prefixes meet. */
const prefixCodec: Codec<readonly [number, number]> = {
  size: 8,
  encode([length, bits], view, offset) {
    view.setUint32(offset, length, true);
    view.setUint32(offset + 4, bits << 24);
  },
  decode: (view, offset) => [view.getUint32(offset, true), view.getUint8(offset + 4)],
};

const limits = { name: 'walk', valueSize: 4, maxEntries: 6, value: u32Codec, keyLayout: '', valueLayout: '' };
const hash = { ...limits, type: MapType.hash, keySize: 4, flags: MapFlag.noPrealloc, key: u32Codec };
const array = { ...hash, type: MapType.array, flags: 0 };
const trie = { ...limits, type: MapType.lpmTrie, keySize: 8, flags: MapFlag.noPrealloc, key: prefixCodec };

const smallNumber = fc.integer({ min: 0, max: 8 });
const prefix = fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 255 }));

for (const [name, descriptor] of Object.entries({ hash, array })) {
  test(`fake ${name} and kernel ${name} answer any walk alike`, () => {
    compareOnWalks(descriptor, smallNumber);
  });
}

test('fake trie and kernel trie answer any walk alike', () => {
  compareOnWalks(trie, prefix);
});

type Step<K> =
  | { readonly do: 'update'; readonly key: K; readonly value: number; readonly mode: UpdateMode }
  | { readonly do: 'lookup' | 'delete'; readonly key: K }
  | { readonly do: 'updateBatch'; readonly keys: readonly K[]; readonly value: number }
  | { readonly do: 'deleteBatch'; readonly keys: readonly K[] }
  | { readonly do: 'entries' | 'count' };

function compareOnWalks<K>(descriptor: MapDescriptor<K, number>, key: fc.Arbitrary<K>): void {
  const value = fc.nat({ max: 1000 });
  const mode = fc.constantFrom<UpdateMode>('any', 'create', 'exist');
  const keys = fc.array(key, { maxLength: 8 });
  const step: fc.Arbitrary<Step<K>> = fc.oneof(
    fc.record({ do: fc.constant('update' as const), key, value, mode }),
    fc.record({ do: fc.constantFrom('lookup' as const, 'delete' as const), key }),
    fc.record({ do: fc.constant('updateBatch' as const), keys, value }),
    fc.record({ do: fc.constant('deleteBatch' as const), keys }),
    fc.record({ do: fc.constantFrom('entries' as const, 'count' as const) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      using kernel = BpfMap.create(descriptor);
      const maps = [openMap(kernel, descriptor), createFakeMap(descriptor)];
      for (const one of steps) {
        const [fromKernel, fromFake] = maps.map((map) => answer(map, one));
        assert.deepEqual(fromFake, fromKernel);
      }
    }),
    { numRuns: 200 },
  );
}

/** What the step gives: its result, or the name of its errno. */
function answer<K>(map: TypedMap<K, number>, step: Step<K>): unknown {
  try {
    switch (step.do) {
      case 'update':
        return map.update(step.key, step.value, step.mode);
      case 'updateBatch':
        return map.updateBatch(step.keys.map((key, index) => [key, step.value + index] as const));
      case 'deleteBatch':
        return map.deleteBatch(step.keys);
      case 'entries':
        return [...map.entries()].map((row) => JSON.stringify(row)).sort();
      case 'count':
        return map.count();
      default:
        return map[step.do](step.key);
    }
  } catch (error) {
    if (isSystemError(error)) return error.code;
    throw error;
  }
}
