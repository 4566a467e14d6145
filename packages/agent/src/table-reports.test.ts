import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Table } from '@sluice/state';
import { tableLines } from './table-reports.ts';

test('a table is told in the order of its first column, as people count, with its rows whole', () => {
  const table = new Table<{ readonly id: number; readonly name: string }>({
    name: 'things',
    key: ({ name }) => name,
    columns: { Id: ({ id }) => String(id), Name: ({ name }) => name.toUpperCase() },
  });
  for (const id of [10, 9, 100]) table.upsert({ id, name: `thing-${id}` });
  const [head, ...lines] = tableLines(table);
  assert.deepEqual(head, { name: 'things', revision: table.revision, initialized: false, columns: ['Id', 'Name'] });
  assert.deepEqual(lines, [
    { cells: ['9', 'THING-9'], row: { id: 9, name: 'thing-9' } },
    { cells: ['10', 'THING-10'], row: { id: 10, name: 'thing-10' } },
    { cells: ['100', 'THING-100'], row: { id: 100, name: 'thing-100' } },
  ]);
});
