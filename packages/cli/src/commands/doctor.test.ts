import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

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

test('no agent is as before an installation, one that answers badly is a fault', async () => {
  const none = await sluice(['doctor', '-o', 'json', '--socket', '/nowhere/sluice.sock']);
  assert.match(agentFinding(none.out), /^note: no agent could be asked/);
  using bad = await agent({});
  const { out, exitCode } = await sluice(['doctor', '-o', 'json', '--socket', bad.socket]);
  assert.match(agentFinding(out), /^error: the agent does not answer as it should: /);
  assert.equal(exitCode, 1);
});

test('values that are not there are told, whoever is asked', async () => {
  const { err, exitCode } = await sluice(['doctor', '--config', '/nowhere/values.yaml', '--socket', '/nowhere/s.sock']);
  assert.match(err, /^sluice: \/nowhere\/values\.yaml: cannot be read: ENOENT.*\n$/);
  assert.equal(exitCode, 2);
});

function agentFinding(out: string): string {
  const { findings } = JSON.parse(out) as { findings: { check: string; severity: string; what: string }[] };
  return findings.filter(({ check }) => check === 'agent').map(({ severity, what }) => `${severity}: ${what}`)[0] ?? '';
}
