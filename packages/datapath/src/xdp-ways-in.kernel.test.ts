// The tests of the ways in, with XDP at every device: what is answered is the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMode } from '../test/mode.ts';
import { FrameWay } from './index.ts';

testMode.isAccelerated = true;
await import('./ways-in.kernel.test.ts');

test('XDP has served in both directions', () => {
  for (const way of [FrameWay.Tunnel, FrameWay.World])
    assert.ok(
      testMode.accelerations.some((node) => node.count(way) > 0),
      `way ${way}`,
    );
});
