// The agent as its container starts it: by the launcher, with the capabilities of its role and no others.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { capabilityNumbers, roles } from '@sluice/launcher';
import { installationRoot } from '@sluice/runtime';
import { temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import { agentNode } from '../test/agent-process.ts';
import type { StatusReport } from './report.ts';

const root = installationRoot();
const needed = ['dist/agent.js', 'dist/bin/sluice-launch', 'dist/bin/sluice-cni', 'bpf/build/pod.o'];
const missing = needed.filter((path) => !existsSync(join(root, path)));
const options = { skip: missing.length > 0 && `not built: ${missing.join(', ')}; npm run build makes it` };

test('with the capabilities of its role and no others everything works, also after kill -9', options, async () => {
  using installation = temporaryDirectory();
  mkdirSync(join(installation.path, 'bin'));
  symlinkSync(process.execPath, join(installation.path, 'bin/node'));
  for (const name of ['dist', 'bpf', 'package.json', 'node_modules']) {
    symlinkSync(join(root, name), join(installation.path, name));
  }
  const launcher = join(root, 'dist/bin/sluice-launch');
  await using node = agentNode(['env', `SLUICE_ROOT=${installation.path}`, launcher, 'agent']);
  using pod = temporaryNetworkNamespace();
  await node.start();
  assertRights(node.pid);
  assert.equal(node.cni('ADD', 'c1', pod.path).status, 0);
  await node.kill();
  await node.start();
  const { modules, foreignRules } = (await node.get('/status')) as StatusReport;
  assert.deepEqual(
    modules.filter(({ state }) => state === 'degraded'),
    [],
  );
  assert.deepEqual(foreignRules, []);
  assert.ok(((await node.get('/programs')) as unknown[]).length > 10);
  // The first question loads programs anew, from the bundles as they lie in the image.
  const { verdict } = (await node.get('/explain?from=host&to=10.10.30.77:80&protocol=tcp')) as { verdict: string };
  assert.equal(verdict, 'forwarded');
  assert.equal(node.cni('DEL', 'c1', pod.path).status, 0);
  assertRights(node.pid);
});

function assertRights(pid: number | undefined): void {
  const names = Object.keys(roles.agent.capabilities) as (keyof typeof capabilityNumbers)[];
  const set = names.reduce((sum, name) => sum | (1n << BigInt(capabilityNumbers[name])), 0n);
  const tasks = readdirSync(`/proc/${pid}/task`);
  assert.ok(tasks.length > 4);
  for (const task of tasks) {
    const status = readFileSync(`/proc/${pid}/task/${task}/status`, 'utf8');
    for (const each of ['Inh', 'Prm', 'Eff', 'Bnd']) {
      const hex = new RegExp(`^Cap${each}:\\t(\\w+)$`, 'm').exec(status)?.[1];
      assert.equal(hex, set.toString(16).padStart(16, '0'), `${each} of thread ${task}`);
    }
    assert.match(status, /^NoNewPrivs:\t1$/m);
  }
}
