import assert from 'node:assert/strict';
import { test } from 'node:test';
import { age } from './column.ts';

test('ages are printed as kubectl does: coarser the longer ago', () => {
  const now = Date.parse('2026-01-01T00:00:00Z');
  const shown = (seconds: number) => age(new Date(now - seconds * 1000).toISOString(), now);
  const hour = 3600;
  const day = 24 * hour;
  assert.deepEqual(
    [
      0,
      119,
      120,
      192,
      660,
      7 * hour,
      7 * hour + 120,
      9 * hour,
      47 * hour,
      3 * day + hour,
      30 * day,
      800 * day,
      9 * 365 * day,
    ].map(shown),
    ['0s', '119s', '2m', '3m12s', '11m', '7h', '7h2m', '9h', '47h', '3d1h', '30d', '2y70d', '9y'],
  );
  assert.equal(age(undefined), '<unknown>');
});
