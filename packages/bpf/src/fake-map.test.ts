import assert from 'node:assert/strict';
import { test } from 'node:test';
import { mapCompliance } from '../test/map-compliance.ts';
import { createFakeMap } from './fake-map.ts';
import { MapType } from './kernel-constants.ts';
import type { Codec } from './spec.ts';

mapCompliance('fake map', (descriptor) => createFakeMap(descriptor));

const u32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, true),
  decode: (view, offset) => view.getUint32(offset, true),
};
const rows = { name: 'rows', type: MapType.hash, keySize: 4, valueSize: 4, maxEntries: 8, flags: 0 };
const descriptor = { ...rows, key: u32, value: u32, keyLayout: '', valueLayout: '' };

test('injected fault fails exactly the operation and key that it names', () => {
  const map = createFakeMap(descriptor, {
    faults: (operation, key) => (operation === 'update' && key === 2 ? 'ENOMEM' : undefined),
  });
  map.update(1, 10);
  assert.throws(() => map.update(2, 20), { name: 'SystemError', code: 'ENOMEM' });
  assert.equal(map.lookup(2), undefined);
  assert.equal(map.delete(2), false);
});

test('fault in the middle of a batch leaves the rows before it', () => {
  const map = createFakeMap(descriptor, { faults: (_, key) => (key === 2 ? 'EBUSY' : undefined) });
  assert.throws(() => map.updateBatch([1, 2, 3].map((key) => [key, 0] as const)), { code: 'EBUSY' });
  assert.deepEqual([...map.entries()], [[1, 0]]);
});
