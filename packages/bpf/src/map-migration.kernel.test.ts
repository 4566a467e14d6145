import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leakCheck } from '@sluice/testing';
import { type Btf, parseBtf } from './btf.ts';
import { BtfBuilder } from './btf-builder.ts';
import { isArrayType, MapFlag, MapType } from './kernel-constants.ts';
import { LayoutMismatchError } from './layout-mismatch-error.ts';
import { loadBtf } from './loaded-btf.ts';
import { BpfMap } from './map.ts';
import { isMapReusable, planMigration } from './map-migration.ts';
import { perCpu, possibleCpus } from './per-cpu.ts';
import { arrayCodec, u32Codec } from './scalar-codec.ts';
import type { Codec, MapSpec } from './spec.ts';
import { openMap, type TypedMap } from './typed-map.ts';

interface Row {
  readonly [name: string]: number;
}

/** A map whose keys and values are structs of such numbers, 4 bytes each. */
interface Version {
  readonly spec: MapSpec;
  readonly btf: Btf;
  create(): BpfMap;
  open(map: BpfMap): TypedMap<Row, Row>;
}

function structOf(names: readonly string[]): Codec<Row> {
  const codec = arrayCodec(u32Codec, names.length);
  return {
    size: codec.size,
    encode: (row, view, offset) =>
      codec.encode(
        names.map((name) => row[name] ?? 0),
        view,
        offset,
      ),
    decode: (view, offset) =>
      Object.fromEntries(codec.decode(view, offset).map((value, index) => [names[index] ?? '', value])),
  };
}

interface Fields {
  readonly key: readonly string[];
  readonly value: readonly string[];
}

function version({ key, value }: Fields, shape: Partial<MapSpec> = {}): Version {
  const builder = new BtfBuilder();
  const u32 = builder.int('__u32', 4);
  const struct = (name: string, names: readonly string[]) =>
    builder.struct(
      name,
      4 * names.length,
      names.map((field, index) => ({ name: field, typeId: u32, byteOffset: 4 * index })),
    );
  // The kernel takes no struct as the index of an array.
  const keyTypeId = isArrayType(shape.type ?? MapType.hash) ? u32 : struct('key', key);
  const valueTypeId = struct('value', value);
  const bytes = builder.build();
  const spec: MapSpec = {
    name: 'rows',
    type: MapType.hash,
    keySize: 4 * key.length,
    valueSize: 4 * value.length,
    maxEntries: 10_000,
    flags: 0,
    extra: 0,
    keyTypeId,
    valueTypeId,
    ...shape,
  };
  const descriptor = { ...spec, key: structOf(key), value: structOf(value), keyLayout: '', valueLayout: '' };
  return {
    spec,
    btf: parseBtf(bytes, 'rows'),
    create() {
      using btf = loadBtf(bytes, 'rows');
      return BpfMap.create(spec, btf.fd);
    },
    open: (map) => openMap(map, descriptor),
  };
}

const before: Fields = { key: ['id'], value: ['packets', 'port', 'old'] };
const after: Fields = { key: ['zone', 'id'], value: ['port', 'fresh', 'packets', 'reserved'] };
const count = 5_000;

for (const type of [MapType.hash, MapType.lruHash] as const) {
  test(`every row is taken over into a map of another layout (type ${type})`, () => {
    using _leaks = leakCheck();
    const [one, other] = [version(before, { type }), version(after, { type })];
    using from = one.create();
    using to = other.create();
    one
      .open(from)
      .updateBatch(
        Array.from({ length: count }, (_, id) => [{ id }, { packets: id * 3, port: id % 65_536, old: 7 }] as const),
      );
    assert.ok(isMapReusable(from, one.spec, one.btf));
    assert.ok(!isMapReusable(from, other.spec, other.btf));
    const migration = planMigration(from, other.spec, other.btf);
    assert.deepEqual([migration.lost, migration.added], [['old'], ['zone', 'fresh']]);
    assert.deepEqual(migration.between(from, to).fill(), { kept: count, lost: 0 });
    const rows = other.open(to);
    assert.equal(rows.count(), count);
    assert.deepEqual(rows.lookup({ zone: 0, id: 4_711 }), { port: 4_711, fresh: 0, packets: 14_133, reserved: 0 });
  });
}

test('rows that came meanwhile are added, and none is written twice', () => {
  const [one, other] = [version(before), version(after)];
  using from = one.create();
  using to = other.create();
  const old = one.open(from);
  old.update({ id: 1 }, { packets: 1, port: 80, old: 0 });
  const transfer = planMigration(from, other.spec, other.btf).between(from, to);
  transfer.fill();
  const rows = other.open(to);
  rows.update({ zone: 0, id: 1 }, { packets: 99, port: 80, fresh: 5 });
  old.update({ id: 2 }, { packets: 2, port: 443, old: 0 });
  assert.deepEqual(transfer.complete(), { kept: 1, lost: 0 });
  assert.equal(rows.lookup({ zone: 0, id: 1 })?.packets, 99);
  assert.equal(rows.lookup({ zone: 0, id: 2 })?.port, 443);
});

test('a key that was given to another row meanwhile is the younger one’s, in whichever map that is', () => {
  const [one, other] = [
    version({ key: ['id'], value: ['packets', 'made'] }),
    version({ key: ['id'], value: ['made', 'fresh', 'packets'] }),
  ];
  using from = one.create();
  using to = other.create();
  const [old, rows] = [one.open(from), other.open(to)];
  for (const id of [1, 2, 3]) old.update({ id }, { packets: 1, made: 100 });
  const transfer = planMigration(from, other.spec, other.btf, { ageField: 'made' }).between(from, to);
  transfer.fill();
  // Another in the former map; the same, which has gone on in the new one; another there as well.
  old.update({ id: 1 }, { packets: 2, made: 201 });
  rows.update({ id: 2 }, { packets: 3, made: 100, fresh: 1 });
  old.update({ id: 3 }, { packets: 4, made: 202 });
  rows.update({ id: 3 }, { packets: 5, made: 203, fresh: 1 });
  transfer.complete();
  assert.deepEqual(
    [1, 2, 3].map((id) => rows.lookup({ id })?.packets),
    [2, 3, 5],
  );
});

test('what came to its end after it was taken over is over in the new map, too', () => {
  const [one, other] = [
    version({ key: ['id'], value: ['made', 'state'] }),
    version({ key: ['id'], value: ['fresh', 'made', 'state'] }),
  ];
  using from = one.create();
  using to = other.create();
  const [old, rows] = [one.open(from), other.open(to)];
  for (const id of [1, 2, 3, 4]) old.update({ id }, { made: 100, state: id === 4 ? 3 : 1 });
  const options = { ageField: 'made', end: { field: 'state', from: 3n } };
  const transfer = planMigration(from, other.spec, other.btf, options).between(from, to);
  transfer.fill();
  // Ended; ended, and the new programs have begun another there; gone on; ended before, and gone on in the new map.
  old.update({ id: 1 }, { made: 100, state: 3 });
  old.update({ id: 2 }, { made: 100, state: 3 });
  rows.update({ id: 2 }, { made: 200, state: 1, fresh: 1 });
  old.update({ id: 3 }, { made: 100, state: 2 });
  rows.update({ id: 4 }, { made: 100, state: 1, fresh: 1 });
  assert.equal(transfer.complete().kept, 1);
  assert.deepEqual(
    [1, 2, 3, 4].map((id) => rows.lookup({ id })?.state),
    [3, 1, 1, 1],
  );
});

/** Two tables of each version: rows move from one into the other while they are taken over. */
function twoTables() {
  using stack = new DisposableStack();
  const [one, other] = [
    version({ key: ['id'], value: ['made', 'state'] }),
    version({ key: ['id'], value: ['fresh', 'made', 'state'] }),
  ];
  const table = () => {
    const [from, to] = [stack.use(one.create()), stack.use(other.create())];
    const transfer = planMigration(from, other.spec, other.btf, { ageField: 'made' }).between(from, to);
    return { transfer, old: one.open(from), rows: other.open(to) };
  };
  const tables = { sheltered: table(), evictable: table() };
  const both = Object.values(tables);
  const owned = stack.move();
  return {
    ...tables,
    fill() {
      for (const { transfer } of both) transfer.fill();
    },
    settle() {
      for (const { transfer } of both) transfer.complete();
      for (const { transfer } of both) transfer.prune();
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

test('a row that the new programs have moved into another table is not brought back', () => {
  using tables = twoTables();
  const { sheltered, evictable } = tables;
  sheltered.old.update({ id: 1 }, { made: 100, state: 1 });
  tables.fill();
  sheltered.rows.delete({ id: 1 });
  evictable.rows.update({ id: 1 }, { made: 100, state: 3, fresh: 0 });
  tables.settle();
  assert.equal(sheltered.rows.lookup({ id: 1 }), undefined);
  assert.equal(evictable.rows.lookup({ id: 1 })?.state, 3);
});

test('a row that the former programs have moved after it was taken over is where they have it', () => {
  using tables = twoTables();
  const { sheltered, evictable } = tables;
  sheltered.old.update({ id: 1 }, { made: 100, state: 1 });
  evictable.old.update({ id: 2 }, { made: 101, state: 0 });
  tables.fill();
  sheltered.old.delete({ id: 1 });
  evictable.old.update({ id: 1 }, { made: 100, state: 3 });
  evictable.old.delete({ id: 2 });
  sheltered.old.update({ id: 2 }, { made: 101, state: 1 });
  tables.settle();
  assert.deepEqual([...sheltered.rows.entries()], [[{ id: 2 }, { made: 101, state: 1, fresh: 0 }]]);
  assert.deepEqual([...evictable.rows.entries()], [[{ id: 1 }, { made: 100, state: 3, fresh: 0 }]]);
});

test('a row that the new programs have made of a key that the former ones gave up stays', () => {
  using tables = twoTables();
  const { sheltered } = tables;
  sheltered.old.update({ id: 1 }, { made: 100, state: 1 });
  tables.fill();
  sheltered.old.delete({ id: 1 });
  sheltered.rows.update({ id: 1 }, { made: 200, state: 1, fresh: 0 });
  tables.settle();
  assert.equal(sheltered.rows.lookup({ id: 1 })?.made, 200);
});

test('what changes before the new programs work is taken over as it is then', () => {
  using tables = twoTables();
  const { sheltered } = tables;
  sheltered.old.update({ id: 1 }, { made: 100, state: 0 });
  tables.fill();
  sheltered.old.update({ id: 1 }, { made: 100, state: 1 });
  tables.fill();
  assert.equal(sheltered.rows.lookup({ id: 1 })?.state, 1);
});

test('into a table that evicts the youngest come last, and nothing of long ago comes a second time', () => {
  const shape = { type: MapType.lruHash, maxEntries: 3_000 };
  const [one, other] = [
    version({ key: ['id'], value: ['made'] }, { ...shape, maxEntries: 12_000 }),
    version({ key: ['id'], value: ['fresh', 'made'] }, shape),
  ];
  using from = one.create();
  using to = other.create();
  const [old, rows] = [one.open(from), other.open(to)];
  // More than a batch has.
  for (let id = 0; id < 9_000; id += 1) old.update({ id }, { made: 1 + ((id * 7) % 9_000) });
  const transfer = planMigration(from, other.spec, other.btf, { ageField: 'made' }).between(from, to);
  const youngest = () => [...rows.entries()].filter(([, { made = 0 }]) => made > 8_400).length;
  transfer.fill();
  assert.equal(youngest(), 600);
  transfer.fill();
  assert.equal(youngest(), 600);
  old.update({ id: 10_000 }, { made: 9_001 });
  assert.equal(transfer.complete().kept, 1);
  assert.equal(youngest(), 601);
});

test('what does not fit into a smaller map is counted', () => {
  const [one, other] = [version(before), version(after, { maxEntries: 10, flags: MapFlag.noPrealloc })];
  using from = one.create();
  using to = other.create();
  one.open(from).updateBatch(Array.from({ length: 25 }, (_, id) => [{ id }, { packets: 1 }] as const));
  assert.deepEqual(planMigration(from, other.spec, other.btf).between(from, to).fill(), { kept: 10, lost: 15 });
});

test('the values of every CPU are taken over, and the rows of an array', () => {
  const shape = { type: MapType.percpuArray, keySize: 4, maxEntries: 3 };
  const [one, other] = [
    version({ key: ['index'], value: ['a', 'b', 'c'] }, shape),
    version({ key: ['index'], value: ['c', 'd', 'a', 'b', 'e'] }, shape),
  ];
  using from = one.create();
  using to = other.create();
  const openPerCpu = (map: BpfMap, fields: readonly string[]) =>
    openMap(
      map,
      perCpu({
        ...one.spec,
        valueSize: 4 * fields.length,
        key: u32Codec,
        value: structOf(fields),
        keyLayout: '',
        valueLayout: '',
      }),
    );
  const cpus = possibleCpus();
  const values = Array.from({ length: cpus }, (_, cpu) => ({ a: cpu, b: 10 + cpu, c: 20 + cpu }));
  openPerCpu(from, ['a', 'b', 'c']).update(1, values);
  const transfer = planMigration(from, other.spec, other.btf).between(from, to);
  transfer.fill();
  assert.deepEqual(
    openPerCpu(to, ['c', 'd', 'a', 'b', 'e']).lookup(1),
    values.map(({ a, b, c }) => ({ c, d: 0, a, b, e: 0 })),
  );
  assert.deepEqual(transfer.complete(), { kept: 0, lost: 0 });
});

test('an array of another size is none that programs were verified for, a hash of another size is', () => {
  const array = { type: MapType.array, maxEntries: 3 };
  const fields = { key: ['index'], value: ['a'] };
  using three = version(fields, array).create();
  const five = version(fields, { ...array, maxEntries: 5 });
  assert.ok(!isMapReusable(three, five.spec, five.btf));
  using hash = version(before).create();
  const larger = version(before, { maxEntries: 20_000 });
  assert.ok(isMapReusable(hash, larger.spec, larger.btf));
});

test('rows that cannot be read as those of the new layout are an error that names why', () => {
  const wanted = version(after);
  const refused = (map: BpfMap, why: RegExp) =>
    assert.throws(
      () => planMigration(map, wanted.spec, wanted.btf),
      (error) => error instanceof LayoutMismatchError && why.test(error.message),
    );
  using untyped = BpfMap.create({ ...version(before).spec, name: 'rows', keyTypeId: 0, valueTypeId: 0 });
  refused(untyped, /map rows .*\n.*the types of\n.*without/);
  using narrower = version({ key: ['id', 'vlan'], value: ['packets'] }).create();
  refused(narrower, /a key that keeps its field vlan/);
  using perCpuRows = version(before, { type: MapType.percpuHash }).create();
  refused(perCpuRows, /percpu_hash/);
});
