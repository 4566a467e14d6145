import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeDatapathMaps, DropReason } from '@sluice/datapath';
import { fakeClock } from '@sluice/runtime';
import { Controllers } from '@sluice/state';
import { Connections } from './connections.ts';
import { Tallies } from './metrics/tallies.ts';
import { natPortsBeside } from './nat-ports.ts';

test('packets that passed untracked are told for one round, not those of an earlier agent, not for ever', async () => {
  const clock = fakeClock();
  const maps = createFakeDatapathMaps();
  const key = { reason: DropReason.CtCreateFailed, direction: 1 };
  maps.counters.update(key, [{ packets: 7n, bytes: 700n }]);
  const tallies = new Tallies();
  const natPorts = natPortsBeside({ first: 30_000, last: 32_767 });
  const controllers = new Controllers(clock);
  const connections = new Connections({ maps: () => maps, controllers, tallies, clock, natPorts });
  connections.start();
  await clock.advanceAsync(0);
  assert.equal(connections.problem, undefined);
  maps.counters.update(key, [{ packets: 10n, bytes: 1000n }]);
  await clock.advanceAsync(10_000);
  assert.equal(connections.problem, '3 packets passed untracked in the last 10 s; 0% of the table are in use');
  await clock.advanceAsync(10_000);
  assert.equal(connections.problem, undefined);
  await connections.stop();
});
