import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Faults, isCutOff, switchedOff, switchedOn, withCut, withHealed } from './faults.ts';

const none: Faults = { off: {}, cut: {} };
const killed = { how: 'killed', since: '2026-01-02T03:04:05.000Z' } as const;

test('what is broken is broken once, and mended without a trace', () => {
  const cut = withCut('a', ['eno1'])(withCut('a', ['eno2'])(withCut('a', ['eno1'])(none)));
  assert.deepEqual(cut.cut, { a: ['eno1', 'eno2'] });
  assert.deepEqual(withHealed('a', ['eno1'])(cut).cut, { a: ['eno2'] });
  assert.deepEqual(withHealed('a', ['eno1', 'eno2'])(cut), none);
  assert.deepEqual(switchedOn('a')(switchedOff('a', killed)(none)), none);
});

test('power and cables do not touch each other, nor other nodes', () => {
  const both = withCut('b', ['eno1'])(switchedOff('a', killed)(none));
  assert.deepEqual(both, { off: { a: killed }, cut: { b: ['eno1'] } });
  assert.deepEqual(switchedOn('b')(withHealed('a', ['eno1'])(both)), both);
});

test('a node is cut off without power, or without the cable of its first device', () => {
  const node = { name: 'a', devices: ['eno1', 'eno2'] };
  const cutOff = (faults: Faults) => isCutOff(faults, node);
  assert.deepEqual(
    [none, switchedOff('a', killed)(none), withCut('a', ['eno2'])(none), withCut('a', ['eno1'])(none)].map(cutOff),
    [false, true, false, true],
  );
});
