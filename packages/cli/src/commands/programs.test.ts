import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const program = { name: 'pod_from_pod', type: 'sched_cls', id: 7, attachedTo: ['pod_a'], instructions: 9, bytes: 2048 };

test('programs that nobody has counted say how to have them counted', async () => {
  using server = await agent({ '/programs': [program] });
  const { out, err } = await sluice(['program', 'list', '--socket', server.socket]);
  assert.match(out, /^pod_from_pod +sched_cls +7 +9 +2\.0 KiB +- +- +pod_a$/m);
  assert.match(err, /--measure 5/);
});

test('--measure shows what was counted in that time', async () => {
  const measured = { ...program, runCount: 20, averageNs: 512.4 };
  using server = await agent({ '/programs?measure=2': [measured, { ...program, name: 'idle', runCount: 0 }] });
  const { out, err } = await sluice(['program', 'list', '--measure', '2', '--socket', server.socket]);
  assert.match(out, /^pod_from_pod .* 20 +512 ns +pod_a$/m);
  assert.match(out, /^idle .* 0 +- +pod_a$/m);
  assert.equal(err, '');
  assert.equal((await sluice(['program', 'list', '--measure', 'long', '--socket', server.socket])).exitCode, 2);
});
