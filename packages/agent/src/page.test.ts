import assert from 'node:assert/strict';
import { test } from 'node:test';
import { pageOf } from './page.ts';

const rows = Array.from({ length: 2_500 }, (_, index) => index);
const page = (query: string) => pageOf(rows, new URL(`http://agent/identities${query}`));

test('pages follow each other without a gap, and the last one says that it is', () => {
  const seen: number[] = [];
  for (let offset: number | undefined = 0; offset !== undefined; ) {
    const { rows: part, next } = page(`?offset=${offset}`);
    seen.push(...part);
    offset = next;
  }
  assert.deepEqual(seen, rows);
  assert.equal(page('').next, 1_000);
});

test('a page behind the end is empty, and nonsense is refused', () => {
  assert.deepEqual(page('?offset=9999'), { rows: [], next: undefined });
  for (const offset of ['-1', 'x', '1.5']) assert.throws(() => page(`?offset=${offset}`), RangeError);
});
