// Another version comes and goes. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { otherLayouts, otherVersion } from '@sluice/testing';
import { eventually, kubectl, kubectlJson, nodeNames, root, sluice } from '../cluster.ts';
import { install, loadImage, namespace as system, untilReady } from '../install.ts';
import { type Pod, tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { pod, testNamespace, web } from './workload.ts';

const NEXT = '0.1.1-layouts';

/** Builds a version whose maps are laid out in another way, and gives its image to the nodes. */
async function loadNextVersion(): Promise<void> {
  using next = await otherVersion(root, [
    ...otherLayouts,
    { file: 'package.json', from: '"version": "0.1.0"', to: `"version": "${NEXT}"` },
  ]);
  for (const script of ['tools/build.ts', 'tools/image.ts'])
    await promisify(execFile)(process.execPath, [script], { cwd: next.root });
  await loadImage(next.root);
}

async function agentsRun(version: string): Promise<void> {
  for (const node of nodeNames) {
    const said = await sluice(node, 'version');
    assert.ok(said.includes(version), `${node}: ${said}`);
  }
}

test('an upgrade to another map layout and back, one node at a time: no request fails, a long one is answered', async () => {
  await loadNextVersion();
  await using namespace = await testNamespace('story-upgrade');
  await web({ namespace: namespace.name, name: 'web', replicas: 3 });
  await web({ namespace: namespace.name, name: 'slow', replicas: 1, node: 'n2' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  await namespace.kubectl('rollout', 'status', 'deployment/slow', '--timeout=60s');
  const url = (name: string) => `http://${name}.${namespace.name}.svc.cluster.local`;
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url: `${url('web')}/hostname` });
  await pod({ namespace: namespace.name, name: 'patient', node: 'n1' });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/patient', '--timeout=60s');
  const ask = (seconds: number) =>
    namespace.exec(
      'patient',
      'curl',
      '-sS',
      '-m',
      '280',
      `${url('slow')}/shell?shellCommand=sleep+${seconds}%3Becho+done`,
    );
  const long = ask(120);
  try {
    await install('--set', `image.tag=${NEXT}`);
    await untilReady(240);
    await agentsRun(NEXT);
    const logs = await kubectl('--namespace', system, 'logs', '-l', 'app.kubernetes.io/name=sluice-agent', '--tail=-1');
    assert.match(logs, /map conntrack has another layout now: \d+ rows taken over/);
    await traffic.mustBeWhole();
    await tablesEqualApi();
  } finally {
    await install();
    await untilReady(240);
  }
  await agentsRun('0.1.0');
  await traffic.mustBeWhole();
  await tablesEqualApi();
  assert.match(await long, /done/);
});

test('a new version that does not start stops at the first node, whose pods stay connected', async () => {
  await using namespace = await testNamespace('story-bad-upgrade');
  await web({ namespace: namespace.name, name: 'web', replicas: 3 });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const url = `http://web.${namespace.name}.svc.cluster.local/hostname`;
  const clients = [];
  for (const node of nodeNames) clients.push(await startTraffic(namespace, { name: `client-${node}`, node, url }));
  try {
    await install('--set', 'image.tag=0.0.0-nowhere');
    const waiting = async () => {
      const { items } = await kubectlJson<{ items: Pod[] }>('--namespace', system, 'get', 'pods', '-o', 'json');
      return items.filter(
        (each) => JSON.stringify(each).includes('0.0.0-nowhere') && each.metadata.name.startsWith('sluice-'),
      );
    };
    await eventually(60, async () => assert.ok((await waiting()).length > 0, 'a pod of the new version waits'));
    for (const client of clients) await eventually(30, () => client.mustBeWhole());
    const agents = (await waiting()).filter(({ metadata }) => !metadata.name.startsWith('sluice-operator'));
    assert.ok(agents.length <= 1, `${agents.length} agents were replaced`);
  } finally {
    await install();
    await untilReady(240);
  }
  for (const client of clients) await client.mustBeWhole();
  await tablesEqualApi();
});
