import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { leakCheck } from '@sluice/testing';
import { fixture, required } from '../test/fixture.ts';
import { type LoadedObject, loadObject } from './load-object.ts';
import { perCpu } from './per-cpu.ts';
import { openRingBuffer } from './ring-buffer.ts';
import { u32Codec, u64Codec } from './scalar-codec.ts';
import { openMap } from './typed-map.ts';

const spec = fixture('programs');
// Every record takes 64 bytes and a header of 8, the ring 4096.
const RECORDS_MAX = 56;

const objects = new DisposableStack();
after(() => objects.dispose());

function loadRing(): { object: LoadedObject; produce: (count: number, discard?: boolean) => number } {
  const object = objects.use(loadObject(spec, { programs: ['produce'] }));
  return {
    object,
    produce(count, discard = false) {
      const context = new Uint8Array(Uint32Array.of(count, 0, discard ? 1 : 0, 0).buffer);
      const answer = required(object.programs, 'produce').testRun({ context }).context;
      return new DataView(answer?.buffer ?? new ArrayBuffer(0)).getUint32(12, true);
    },
  };
}

test('records come in order, on the loop, when the kernel wakes us', async () => {
  const { object, produce } = loadRing();
  const seen: number[] = [];
  const all = Promise.withResolvers<void>();
  using _ring = openRingBuffer(
    required(object.maps, 'ring'),
    (record) => {
      assert.equal(record.byteLength, 64);
      seen.push(Number(record.getBigUint64(0, true)));
      if (seen.length === 10) all.resolve();
    },
    { keepAlive: true },
  );
  assert.equal(produce(10), 10);
  await all.promise;
  assert.deepEqual(seen, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
});

test('ring goes round many times without losing or repeating a record', () => {
  const { object, produce } = loadRing();
  let expected = 0;
  let total = 0;
  using ring = openRingBuffer(required(object.maps, 'ring'), (record) => {
    assert.equal(Number(record.getBigUint64(0, true)), expected);
    expected += 1;
    total += 1;
  });
  for (let round = 0; round < 1000; round += 1) {
    expected = 0;
    const count = (round % RECORDS_MAX) + 1;
    assert.equal(produce(count), count);
    assert.equal(ring.drain(), count);
  }
  assert.ok(total > 20_000);
});

test('discarded records are passed over', () => {
  const { object, produce } = loadRing();
  const seen: bigint[] = [];
  using ring = openRingBuffer(required(object.maps, 'ring'), (record) => seen.push(record.getBigUint64(0, true)));
  produce(6, true);
  ring.drain();
  assert.deepEqual(seen, [0n, 2n, 4n]);
});

test('records that found the ring full are counted', () => {
  const { object, produce } = loadRing();
  const descriptor = perCpu({
    ...required(new Map(spec.maps.map((map) => [map.name, map])), 'losses'),
    key: u32Codec,
    value: u64Codec,
    keyLayout: '',
    valueLayout: '',
  });
  const losses = openMap(required(object.maps, 'losses'), descriptor);
  using ring = openRingBuffer(required(object.maps, 'ring'), () => undefined, { losses });
  assert.equal(ring.lost(), 0n);
  assert.equal(produce(100), RECORDS_MAX);
  assert.equal(ring.lost(), BigInt(100 - RECORDS_MAX));
  assert.equal(ring.drain(), RECORDS_MAX);
  assert.equal(produce(RECORDS_MAX), RECORDS_MAX);
});

test('exception for one record is reported and the next ones follow', () => {
  const { object, produce } = loadRing();
  const errors: unknown[] = [];
  const seen: bigint[] = [];
  const onRecord = (record: DataView) => {
    const number = record.getBigUint64(0, true);
    if (number === 1n) throw new Error('second record');
    seen.push(number);
  };
  using ring = openRingBuffer(required(object.maps, 'ring'), onRecord, { onError: (error) => errors.push(error) });
  produce(3);
  ring.drain();
  assert.deepEqual(seen, [0n, 2n]);
  assert.match(String(errors), /second record/);
});

test('reader that disposes of itself in the middle gets no more, and the next one goes on from there', () => {
  using _leaks = leakCheck();
  const { object, produce } = loadRing();
  const map = required(object.maps, 'ring');
  produce(5);
  const first: bigint[] = [];
  const ring = openRingBuffer(map, (record) => {
    first.push(record.getBigUint64(0, true));
    if (first.length === 2) ring[Symbol.dispose]();
  });
  ring.drain();
  ring[Symbol.dispose]();
  assert.equal(ring.drain(), 0);
  const second: bigint[] = [];
  using again = openRingBuffer(map, (record) => second.push(record.getBigUint64(0, true)));
  again.drain();
  assert.deepEqual(
    [first, second],
    [
      [0n, 1n],
      [2n, 3n, 4n],
    ],
  );
  object[Symbol.dispose]();
});

test('record kept beyond its callback is dead after disposal, not a crash', () => {
  const { object, produce } = loadRing();
  const kept: DataView[] = [];
  const ring = openRingBuffer(required(object.maps, 'ring'), (record) => kept.push(record));
  produce(1);
  ring.drain();
  ring[Symbol.dispose]();
  assert.throws(() => kept[0]?.getUint8(0), TypeError);
});

test('map that is no ring is refused', () => {
  const { object } = loadRing();
  assert.throws(() => openRingBuffer(required(object.maps, 'losses'), () => undefined), /percpu_array, not a ringbuf/);
});
