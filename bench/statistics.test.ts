import assert from 'node:assert/strict';
import { test } from 'node:test';
import { seededRandom } from '@sluice/testing';
import { differences, inTurn, ratios } from './pairs.ts';
import { rowVerdict, verdictOf } from './row.ts';
import { estimate, median, quantile } from './statistics.ts';

test('median and quantiles are those of the sorted values', () => {
  assert.equal(median([10, 1, 3]), 3);
  assert.equal(median([4, 1, 3, 2]), 2.5);
  assert.equal(quantile([5, 1, 4, 2, 3], 0), 1);
  assert.equal(quantile([5, 1, 4, 2, 3], 0.5), 3);
  assert.equal(quantile([5, 1, 4, 2, 3], 1), 5);
});

test('an interval holds the true median nineteen times out of twenty', () => {
  const random = seededRandom(7);
  const trials = 200;
  let held = 0;
  for (let trial = 0; trial < trials; trial += 1) {
    const { interval } = estimate(Array.from({ length: 15 }, random), trial);
    if (interval[0] <= 0.5 && 0.5 <= interval[1]) held += 1;
  }
  assert.ok(held / trials > 0.9 && held / trials < 1, `held ${held} of ${trials}`);
});

test('an interval is the same for the same values', () => {
  const values = Array.from({ length: 11 }, seededRandom(3));
  assert.deepEqual(estimate(values), estimate(values));
});

test('the worse end of an interval must reach the goal', () => {
  const figure = { what: 'rate', unit: 'x', value: 1, interval: [0.96, 1.04] } as const;
  assert.equal(verdictOf({ ...figure, goal: { atLeast: 0.97 } }), 'missed');
  assert.equal(verdictOf({ ...figure, goal: { atLeast: 0.95 } }), 'met');
  assert.equal(verdictOf({ ...figure, goal: { atMost: 1.02 } }), 'missed');
  assert.equal(verdictOf({ ...figure, goal: { atMost: 1.05 } }), 'met');
  assert.equal(verdictOf(figure), undefined);
});

test('a row is missed when one of its goals is, and a figure that is no number reaches none', () => {
  const good = { what: 'a', unit: 'ms', value: 1, goal: { atMost: 2 } } as const;
  assert.equal(rowVerdict({ figures: [good] }), 'met');
  assert.equal(rowVerdict({ figures: [good, { ...good, value: 3 }] }), 'missed');
  assert.equal(rowVerdict({ figures: [good, { ...good, value: Number.NaN }] }), 'missed');
  assert.equal(rowVerdict({ figures: [{ what: 'b', unit: 'ms', value: 3 }] }), undefined);
});

test('contenders take turns there and back, and are compared within their round', async () => {
  const order: string[] = [];
  const contender = (name: string, value: number) => async () => {
    order.push(name);
    return value * order.length;
  };
  const [a = [], b = []] = await inTurn(2, [contender('a', 1), contender('b', 10)]);
  assert.deepEqual(order, ['a', 'b', 'b', 'a']);
  assert.deepEqual(
    [a, b],
    [
      [1, 4],
      [20, 30],
    ],
  );
  assert.deepEqual(
    ratios(b, a, (value) => value),
    [20, 7.5],
  );
  assert.deepEqual(
    differences(b, a, (value) => value),
    [19, 26],
  );
});
