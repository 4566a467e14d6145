import assert from 'node:assert/strict';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { BpfMap, openMap } from '@sluice/bpf';
import { endpointsMap, frontendsMap } from '@sluice/datapath';
import { parseAddress } from '@sluice/net';
import { installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { agentNode } from '../test/agent-process.ts';
import type { StatusReport } from './report.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

test('an agent comes up from its last state while the API server is away, and pods can be added', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  const { status, body } = node.cni('ADD', 'c1', pod.path);
  assert.equal(status, 0, JSON.stringify(body));
  const report = (await node.get('/status')) as StatusReport;
  assert.equal(report.kubernetes.state, 'degraded');
  assert.match(report.kubernetes.lastError ?? '', /127\.0\.0\.1:6443|ECONNREFUSED/);
  assert.equal(report.kubeProxyReplacement.enabled, true);
  assert.deepEqual(
    report.kubeProxyReplacement.devices.map((device) => device.name),
    ['eno1'],
  );
  assert.deepEqual(
    report.ipam.map((pool) => [pool.family, pool.allocated]),
    [
      [4, 1],
      [6, 1],
    ],
  );
  assert.deepEqual(report.foreignRules, []);
  assert.deepEqual(
    report.modules.filter((module) => module.state === 'degraded'),
    [],
  );
});

test('after kill -9 the maps hold the same endpoints, also when nobody could tell of them', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  const first = node.cni('ADD', 'kept', pod.path);
  const before = endpointRows(node.bpffs);
  await node.kill();
  assert.deepEqual(endpointRows(node.bpffs), before);
  await node.start();
  assert.deepEqual(endpointRows(node.bpffs), before);
  assert.deepEqual(node.cni('ADD', 'kept', pod.path).body, first.body);
  const [, ...rows] = await node.rows('/tables/endpoints');
  assert.equal(rows.length, 1);
});

test('with kubeProxyReplacement false sockets and pods are left to another load balancer', options, async () => {
  await using node = agentNode();
  await node.start();
  await node.kill();
  writeFrontend(node.bpffs);
  await node.start('kubeProxyReplacement: false');
  const { kubeProxyReplacement, modules } = (await node.get('/status')) as StatusReport;
  assert.equal(kubeProxyReplacement.enabled, false);
  assert.equal(kubeProxyReplacement.why, 'kubeProxyReplacement is false');
  assert.deepEqual(
    kubeProxyReplacement.hooks.filter((hook) => hook.attached),
    [],
  );
  assert.deepEqual(
    readdirSync(join(node.bpffs, 'sluice/links')).filter((name) => name.startsWith('sock_')),
    [],
  );
  assert.deepEqual(
    modules.filter((module) => module.state === 'degraded'),
    [],
  );
  using map = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/frontends'));
  assert.equal(openMap(map, frontendsMap).count(), 0);
});

/** As an agent that translates would have left it. */
function writeFrontend(bpffs: string): void {
  using map = BpfMap.openPinned(join(bpffs, 'sluice/maps/frontends'));
  const counts = { backendCount: 0, affinitySeconds: 0, maglevSize: 0 };
  const frontend = { serviceId: 1, generation: 1, ...counts, affinityId: 0, flags: 0 };
  openMap(map, frontendsMap).update({ address: parseAddress('10.96.0.9'), port: 80, protocol: 6, scope: 0 }, frontend);
}

test('a second agent on the node is refused and the first is not disturbed', options, async () => {
  await using node = agentNode();
  await node.start();
  const { status, stderr } = node.startAnother();
  assert.equal(status, 1);
  assert.match(stderr, /another agent has .* \(process \d+\)/);
  await node.get('/version');
});

test(
  'kept facts that are damaged do not stop the start: the agent waits for the API and says so',
  options,
  async () => {
    await using node = agentNode();
    writeFileSync(join(node.stateDir, 'node.json'), '{"name": 7');
    const starting = node.start();
    const report = await untilAnswer(() => node.get('/status') as Promise<StatusReport>);
    assert.match(report.cni.why ?? '', /waiting for the Node object k8s-cp1/);
    await node.kill();
    await assert.rejects(starting, /the agent ended/);
  },
);

test('an agent that is asked to stop while it waits for its node ends well', options, async () => {
  await using node = agentNode();
  writeFileSync(join(node.stateDir, 'node.json'), '{}');
  const starting = node.start();
  await untilAnswer(() => node.get('/status'));
  const ended = assert.rejects(starting, /the agent ended: 0/);
  await node.kill('SIGTERM');
  await ended;
});

test('the local API names what it does not have', options, async () => {
  await using node = agentNode();
  await node.start();
  assert.match(JSON.stringify(await node.get('/nonsense')), /there is no \/nonsense; there are \/healthz/);
  assert.match(JSON.stringify(await node.get('/tables/nonsense')), /there is no such thing/);
  assert.ok(((await node.get('/maps')) as unknown[]).length > 10);
  assert.ok(((await node.get('/programs')) as unknown[]).length > 10);
});

function endpointRows(bpffs: string): string[] {
  using map = BpfMap.openPinned(join(bpffs, 'sluice/maps/endpoints'));
  return [...openMap(map, endpointsMap).entries()].map((row) => JSON.stringify(row)).sort();
}

async function untilAnswer<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

/** The agent may pin again while we remove: then the folder is not empty when its turn comes. */
function removeAgainstRepair(path: string): void {
  for (;;) {
    try {
      rmSync(path, { recursive: true });
      return;
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ENOTEMPTY')) throw error;
    }
  }
}

test('pins that somebody removes cost no program: they are told and made again', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  node.cni('ADD', 'c1', pod.path);
  const pins = () => readdirSync(join(node.bpffs, 'sluice'), { recursive: true }).sort();
  const before = pins();
  removeAgainstRepair(join(node.bpffs, 'sluice'));
  const { kubeProxyReplacement, modules } = (await node.get('/status')) as StatusReport;
  assert.equal(kubeProxyReplacement.enabled, true);
  const told = modules.find((module) => module.name === 'datapath')?.why ?? '';
  // A change of the node's devices makes it look at once: then they are back already.
  if (told === '') assert.deepEqual(pins(), before);
  else assert.match(told, /^\d+ pins are gone and made again within 10 s/);
  while (!existsSync(join(node.bpffs, 'sluice')) || pins().length < before.length) {
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  assert.deepEqual(pins(), before);
});

test('pins of maps that are gone when the agent is killed are found by the programs that go on', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start();
  node.cni('ADD', 'c1', pod.path);
  const before = endpointRows(node.bpffs);
  await node.kill();
  const id = () => {
    using map = BpfMap.openPinned(join(node.bpffs, 'sluice/maps/endpoints'));
    return map.info.id;
  };
  const idBefore = id();
  rmSync(join(node.bpffs, 'sluice/maps'), { recursive: true });
  await node.start();
  assert.deepEqual([id(), endpointRows(node.bpffs)], [idBefore, before]);
});
