import assert from 'node:assert/strict';
import { test } from 'node:test';
import { paced } from './paced.ts';

test('every row comes, in order, and others have their turn meanwhile', async () => {
  const rows = Array.from({ length: 2_500 }, (_, index) => index);
  let turns = 0;
  const others = setInterval(() => (turns += 1), 0);
  const seen: number[] = [];
  for await (const row of paced(rows)) {
    seen.push(row);
    // As slow as somebody who looks at each.
    const until = performance.now() + 0.005;
    while (performance.now() < until);
  }
  clearInterval(others);
  assert.deepEqual(seen, rows);
  assert.ok(turns >= 2, `${turns} turns`);
});
