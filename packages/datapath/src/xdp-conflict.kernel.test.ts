// The tests of conflicts, with XDP at every device: it leaves to TC what has another port than its client.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { testMode } from '../test/mode.ts';
import { FrameWay } from './index.ts';

testMode.isAccelerated = true;
await import('./conflict.kernel.test.ts');

test('XDP has served the others', () => {
  for (const way of [FrameWay.Tunnel, FrameWay.World])
    assert.ok(
      testMode.accelerations.some((node) => node.count(way) > 0),
      `way ${way}`,
    );
});
