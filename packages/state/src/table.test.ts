import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Change, printTable, Table } from './index.ts';

interface Backend {
  readonly name: string;
  readonly services: readonly string[];
  readonly weight: number;
  readonly source?: string;
}

function backends(): Table<Backend> {
  return new Table<Backend>({
    name: 'backends',
    key: (row) => row.name,
    indexes: { service: (row) => row.services },
    columns: { Name: (row) => row.name, Services: (row) => row.services.join(','), Weight: (row) => `${row.weight}` },
    sources: ['kubernetes', 'file'],
  });
}

const row = (name: string, services: readonly string[] = [], weight = 1): Backend => ({ name, services, weight });

test('rows are frozen, deeply', () => {
  const table = backends();
  table.upsert(row('a', ['web']));
  const stored = table.get('a');
  assert.ok(Object.isFrozen(stored) && Object.isFrozen(stored?.services));
});

test('an equal row is no change', () => {
  const table = backends();
  assert.equal(table.upsert(row('a', ['web'])), true);
  assert.equal(table.upsert(row('a', ['web'])), false);
  assert.equal(table.revision, 1);
  assert.equal(table.delete('b'), false);
  assert.equal(table.revision, 1);
});

test('an index follows changes and deletions', () => {
  const table = backends();
  table.upsert(row('a', ['web', 'api']));
  table.upsert(row('b', ['web']));
  table.upsert(row('a', ['api']));
  assert.deepEqual(
    table.by('service', 'web').map(({ name }) => name),
    ['b'],
  );
  assert.deepEqual(
    table.by('service', 'api').map(({ name }) => name),
    ['a'],
  );
  table.delete('a');
  assert.deepEqual(table.by('service', 'api'), []);
  assert.throws(() => table.by('colour', 'red'), /no index colour/);
});

test('replaceAll is one step for subscribers, and what is absent goes', () => {
  const table = backends();
  table.upsert(row('a'));
  table.upsert(row('b'));
  const seen: (readonly Change<Backend>[])[] = [];
  table.subscribe((changes) => seen.push(changes));
  table.replaceAll([row('b', [], 2), row('c')]);
  assert.equal(seen.length, 1);
  const described = seen[0]?.map(({ key, before, after }) => `${key}:${before?.weight ?? '-'}:${after?.weight ?? '-'}`);
  assert.deepEqual(described?.sort(), ['a:1:-', 'b:1:2', 'c:-:1']);
  table.replaceAll([row('b', [], 2), row('c')]);
  assert.equal(seen.length, 1, 'the same rows again are no change');
});

test('replaceAll leaves rows alone that belong to another source', () => {
  const table = backends();
  table.upsert({ ...row('f'), source: 'file' });
  table.upsert(row('k'));
  table.replaceAll([], (each) => each.source !== 'file');
  assert.deepEqual([...table.keys()], ['f']);
});

test('a table is initialised when every source has spoken', () => {
  const table = backends();
  let notices = 0;
  table.subscribe((changes) => (notices += changes.length === 0 ? 1 : 0));
  assert.equal(table.initialized, false);
  table.markInitialized('kubernetes');
  assert.deepEqual([table.initialized, table.awaitedSources], [false, ['file']]);
  table.markInitialized('file');
  table.markInitialized('file');
  assert.deepEqual([table.initialized, notices], [true, 1]);
});

test('a table without declared sources is not initialised by itself', () => {
  const table = new Table<Backend>({ name: 't', key: (each) => each.name, columns: {} });
  assert.equal(table.initialized, false);
  table.markInitialized('me');
  assert.equal(table.initialized, true);
});

test('a subscriber that writes does not nest: everyone sees changes in order', () => {
  const table = backends();
  const seen: string[] = [];
  table.subscribe((changes) => {
    for (const { key } of changes) if (key === 'a') table.upsert(row('derived'));
  });
  table.subscribe((changes) => seen.push(...changes.map(({ key }) => key)));
  table.upsert(row('a'));
  assert.deepEqual(seen, ['a', 'derived']);
});

test('a subscriber that throws stops neither the others nor the table', () => {
  const table = backends();
  const seen: string[] = [];
  table.subscribe(() => {
    throw new Error('broken subscriber');
  });
  table.subscribe((changes) => seen.push(...changes.map(({ key }) => key)));
  assert.throws(() => table.upsert(row('a')), /broken subscriber/);
  assert.throws(() => table.upsert(row('b')), /broken subscriber/);
  assert.deepEqual(seen, ['a', 'b']);
  assert.equal(table.size, 2);
});

test('a disposed subscription hears nothing more', () => {
  const table = backends();
  let calls = 0;
  {
    using _ = table.subscribe(() => calls++);
    table.upsert(row('a'));
  }
  table.upsert(row('b'));
  assert.equal(calls, 1);
});

test('a table prints itself aligned, by key, with - for what is empty', () => {
  const table = backends();
  table.upsert(row('long-name', ['web', 'api'], 10));
  table.upsert(row('b\n'));
  assert.equal(
    printTable(table),
    ['NAME        SERVICES   WEIGHT', 'b           -          1', 'long-name   web,api    10'].join('\n'),
  );
});

test('whatever is done to it, its indexes and its changes agree with its rows', () => {
  const name = fc.constantFrom('a', 'b', 'c', 'd');
  const anyRow = fc.record({ name, services: fc.uniqueArray(fc.constantFrom('x', 'y', 'z')), weight: fc.nat(2) });
  const step = fc.oneof(
    anyRow.map((each) => ({ kind: 'upsert' as const, rows: [each] })),
    anyRow.map((each) => ({ kind: 'delete' as const, rows: [each] })),
    fc.array(anyRow).map((rows) => ({ kind: 'replace' as const, rows })),
  );
  fc.assert(
    fc.property(fc.array(step), (steps) => {
      const table = backends();
      const mirror = new Map<string, Backend>();
      table.subscribe((changes) => {
        for (const { key, before, after } of changes) {
          assert.equal(mirror.get(key), before);
          if (after) mirror.set(key, after);
          else mirror.delete(key);
        }
      });
      for (const { kind, rows } of steps) {
        if (kind === 'replace') table.replaceAll(rows);
        else for (const each of rows) kind === 'upsert' ? table.upsert(each) : table.delete(each.name);
        assert.deepEqual(mirror, new Map(table.list().map((each) => [each.name, each])));
        for (const service of ['x', 'y', 'z']) {
          const expected = table.list().filter((each) => each.services.includes(service));
          assert.deepEqual(new Set(table.by('service', service)), new Set(expected));
        }
      }
    }),
  );
});
