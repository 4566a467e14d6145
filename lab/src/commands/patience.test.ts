import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Patience } from './patience.ts';

const reached = (ready: number, pods = 0, nodes = 20) => ({
  nodes: Array.from({ length: nodes }, (_, index) => ({ ready: index < ready })),
  pods: { ready: pods },
});

test('a lab is waited for as long as it gets on, by the number of its nodes', () => {
  const patience = new Patience(0);
  assert.equal(patience.isOver(59_999), false);
  patience.see(reached(0), 59_999);
  assert.equal(patience.isOver(199_999), false);
  patience.see(reached(2), 199_999);
  patience.see(reached(2, 1), 300_000);
  assert.equal(patience.isOver(499_999), false);
  assert.equal(patience.isOver(500_000), true);
});

test('what only goes up and down gets nowhere', () => {
  const patience = new Patience(0);
  patience.see(reached(3, 0, 3), 1_000);
  for (let second = 2; second < 61; second++) patience.see(reached(second % 2 === 0 ? 2 : 3, 0, 3), second * 1_000);
  assert.equal(patience.isOver(60_999), false);
  assert.equal(patience.isOver(61_000), true);
});

test('who says nothing is waited for a minute', () => {
  assert.equal(new Patience(0).isOver(60_000), true);
});
