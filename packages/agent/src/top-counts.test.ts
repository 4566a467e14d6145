import assert from 'node:assert/strict';
import { test } from 'node:test';
import { TopCounts } from './top-counts.ts';

function countAll(room: number, keys: Iterable<string>): [string, number][] {
  const counts = new TopCounts<string>(room);
  for (const key of keys) counts.add(key, () => key);
  return counts.list().map(({ value, count }) => [value, count]);
}

test('with room for every kind the counts are exact, the most frequent first', () => {
  assert.deepEqual(countAll(3, 'abcbcc'), [
    ['c', 3],
    ['b', 2],
    ['a', 1],
  ]);
});

test('a value is made once for each kind, and given back where there is one', () => {
  const counts = new TopCounts<object>(1);
  const first = counts.add('a', () => ({}));
  assert.equal(
    counts.add('a', () => assert.fail('made before')),
    first,
  );
  assert.equal(
    counts.add('b', () => assert.fail('no room')),
    undefined,
  );
});

test('what comes often is found among any number of kinds, and short by the sum divided by the room at most', () => {
  const [room, often, others] = [64, 5_000, 20_000];
  const keys = Array.from({ length: others }, (_, index) => `other ${index}`);
  // In whatever order: before all the others, among them, after them.
  for (const place of [0, others / 2, others]) {
    const [top] = countAll(room, keys.toSpliced(place, 0, ...Array.from({ length: often }, () => 'often')));
    assert.equal(top?.[0], 'often');
    const lacking = often - (top?.[1] ?? 0);
    assert.ok(lacking >= 0 && lacking <= (often + others) / room, `${lacking} are lacking`);
  }
});

test('it never holds more kinds than it has room for', () => {
  const counts = new TopCounts<number>(8);
  for (let key = 0; key < 1_000; key += 1) {
    counts.add(`${key % 37}`, () => key);
    assert.ok(counts.list().length <= 8);
  }
});
