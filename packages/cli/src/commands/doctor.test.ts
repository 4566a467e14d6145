import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sluice } from '../test-agent.ts';

test('the machine is looked at without an agent, as data as well', async () => {
  const { out } = await sluice(['doctor', '--machine', '-o', 'json', '--socket', '/nowhere/sluice.sock']);
  const { findings, well } = JSON.parse(out) as { findings: { check: string }[]; well: string[] };
  const checks = new Set([...findings.map(({ check }) => check), ...well]);
  for (const name of ['root', 'kernel-version', 'kernel-features', 'cgroup-v2', 'clock'])
    assert.ok(checks.has(name), name);
});

test('an error ends with status 1 and says what to do, also in brief', async () => {
  // Nothing is mounted there.
  const { out, exitCode } = await sluice(['doctor', '--machine', '--brief', '--proc', '/nowhere']);
  assert.match(out, /^error: cgroup v2 is not mounted: mount -t cgroup2/m);
  assert.equal(exitCode, 1);
});
