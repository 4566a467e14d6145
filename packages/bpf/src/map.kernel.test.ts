import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { leakCheck, temporaryBpffs } from '@sluice/testing';
import { mapCompliance } from '../test/map-compliance.ts';
import { MapFlag, MapType } from './kernel-constants.ts';
import { BpfMap } from './map.ts';
import { mapCounts } from './map-counts.ts';
import { countCpus, perCpu } from './per-cpu.ts';
import { isPinned, unpin } from './pin.ts';
import type { Codec, MapDescriptor } from './spec.ts';
import { openMap } from './typed-map.ts';

const leaks = leakCheck();
const maps = new DisposableStack();
after(() => {
  maps.dispose();
  leaks[Symbol.dispose]();
});

mapCompliance('kernel map', (descriptor) => openMap(maps.use(BpfMap.create(descriptor)), descriptor));

const u32: Codec<number> = {
  size: 4,
  encode: (value, view, offset) => view.setUint32(offset, value, true),
  decode: (view, offset) => view.getUint32(offset, true),
};

const rows: MapDescriptor<number, number> = {
  name: 'a_name_longer_than_15',
  type: MapType.hash,
  keySize: 4,
  valueSize: 4,
  maxEntries: 16,
  flags: MapFlag.noPrealloc,
  key: u32,
  value: u32,
  keyLayout: '',
  valueLayout: '',
};

test('info tells what the map was created with', () => {
  using map = BpfMap.create(rows);
  const { id, ...info } = map.info;
  assert.ok(id > 0);
  assert.deepEqual(info, {
    type: MapType.hash,
    name: 'a_name_longer_t',
    keySize: 4,
    valueSize: 4,
    maxEntries: 16,
    flags: MapFlag.noPrealloc,
    btfId: 0,
    keyTypeId: 0,
    valueTypeId: 0,
  });
  assert.ok(map.memoryBytes() > 0);
});

test('pinned map outlives its descriptor and is the same one when opened again', () => {
  using bpffs = temporaryBpffs();
  const path = join(bpffs.path, 'maps', 'rows');
  {
    using map = BpfMap.create(rows);
    openMap(map, rows).update(1, 2);
    map.pin(path);
    assert.throws(() => map.pin(path), { code: 'EEXIST' });
  }
  {
    using again = BpfMap.openPinned(path);
    assert.equal(openMap(again, rows).lookup(1), 2);
    using byId = BpfMap.openById(again.info.id);
    assert.equal(openMap(byId, rows).lookup(1), 2);
  }
  unpin(path);
  unpin(path);
  assert.ok(!isPinned(path));
  assert.throws(() => BpfMap.openPinned(path), { code: 'ENOENT' });
});

test('pin is refused where it cannot be, with the reason', () => {
  using bpffs = temporaryBpffs();
  using map = BpfMap.create(rows);
  assert.throws(() => map.pin(join(bpffs.path, 'with.dot')), /holds no dot/);
  assert.throws(() => map.pin('/tmp/rows'), /not on a bpffs/);
});

test('map of another size is a layout mismatch that shows both', () => {
  using map = BpfMap.create({ ...rows, valueSize: 12 });
  assert.throws(() => openMap(map, rows), {
    name: 'LayoutMismatchError',
    expected: 'hash, key 4 bytes, value 4 bytes',
    actual: 'hash, key 4 bytes, value 12 bytes',
  });
});

test('per-CPU map opened as a plain one is refused with the way out', () => {
  const descriptor = { ...rows, type: MapType.percpuHash };
  using map = BpfMap.create(descriptor);
  assert.throws(() => openMap(map, descriptor), /perCpu\(descriptor\)/);
  openMap(map, perCpu(descriptor));
});

test('frozen map takes no more writes', () => {
  const descriptor = { ...rows, type: MapType.array, flags: 0 };
  using map = BpfMap.create(descriptor);
  const typed = openMap(map, descriptor);
  typed.update(0, 1);
  map.freeze();
  assert.throws(() => typed.update(0, 2), { code: 'EPERM' });
  assert.equal(typed.lookup(0), 1);
});

test('impossible map is refused with its name', () => {
  assert.throws(() => BpfMap.create({ ...rows, keySize: 0 }), /create map a_name_longer_than_15: EINVAL/);
});

test('CPU lists are counted as the kernel prints them', () => {
  assert.equal(countCpus('0\n'), 1);
  assert.equal(countCpus('0-3,8,10-11'), 7);
  assert.throws(() => countCpus('none'), TypeError);
});

test('what is done to a map is counted by rows, single ones and batches alike, and what the kernel refuses apart', () => {
  using map = BpfMap.create(rows);
  const counts = mapCounts();
  const typed = openMap(map, rows, counts);
  typed.update(1, 1);
  typed.updateBatch([2, 3, 4].map((key) => [key, key]));
  assert.throws(() => typed.update(1, 2, 'create'), /EEXIST/);
  assert.throws(() => typed.update(9, 2, 'exist'), /ENOENT/);
  assert.throws(() => typed.updateBatch(Array.from({ length: 40 }, (_, key) => [key, key])), /which is full/);
  assert.equal(typed.lookup(1), 1);
  assert.equal(typed.lookup(99), undefined);
  typed.delete(1);
  assert.equal(typed.deleteBatch([2, 3, 98]), 2);
  assert.deepEqual(counts.lookup, { good: 2, failed: 0 });
  assert.deepEqual(counts.delete, { good: 3, failed: 0 });
  assert.deepEqual(counts.update, { good: 4 + rows.maxEntries, failed: 3 });
});
