// The tests of direct server return, with XDP at every device: what is answered is the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMode } from '../test/mode.ts';
import { FrameWay } from './index.ts';

testMode.isAccelerated = true;
await import('./dsr.kernel.test.ts');

test('XDP has served what need not tell of its frontend, and no answer came by the asked node', () => {
  assert.ok(testMode.accelerations.some((node) => node.count(FrameWay.Tunnel) > 0));
});
