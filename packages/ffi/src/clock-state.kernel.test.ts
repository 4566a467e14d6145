import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clockState } from './clock-state.ts';

test("the kernel's clock is asked and not changed", () => {
  const first = clockState();
  const second = clockState();
  assert.equal(typeof first.isSynchronised, 'boolean');
  assert.equal(first.isSynchronised, second.isSynchronised);
  // The kernel says 16 s, its limit, where nobody keeps the clock.
  assert.ok(first.errorMaxMs >= 0 && first.errorMaxMs <= 16_000, `${first.errorMaxMs} ms`);
});
