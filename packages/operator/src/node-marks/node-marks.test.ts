import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createKubeClient } from '@sluice/kube';
import { FakeApi } from '@sluice/kube/testing';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { labelledPodTable } from '../identities/labelled-pod.ts';
import { type MarkedNode, parseMarkedNode } from './marked-node.ts';
import { NodeMarks } from './node-marks.ts';

const notReady = { key: 'node.sluice.io/agent-not-ready', effect: 'NoSchedule' };
const incumbents = { key: 'node.cilium.io/agent-not-ready', effect: 'NoExecute', value: 'true' };
const others = { key: 'node-role.kubernetes.io/control-plane', effect: 'NoSchedule' };

interface StoredNode {
  readonly spec: { readonly taints: unknown };
  readonly status: { readonly conditions?: readonly Readonly<Record<string, string>>[] };
}

async function laboratory() {
  const api = await FakeApi.start();
  const client = createKubeClient({ servers: [api.url] });
  const clock = fakeClock();
  const nodes = new Table<MarkedNode>({ name: 'nodes', key: (row) => row.name, columns: {} });
  const pods = labelledPodTable();
  const marks = new NodeMarks({ client, nodes, pods, clock, log: silentLogger });
  const node = (name: string, taints: readonly object[]) => {
    api.store.put('nodes', { metadata: { name }, spec: { taints }, status: {} });
  };
  const stored = (name: string) => api.store.get('nodes', name) as unknown as StoredNode;
  const agent = (nodeName: string, isReady: boolean) => {
    const common = { namespace: 'kube-system', labels: undefined, problems: [] };
    pods.upsert({ ...common, name: `sluice-${nodeName}`, agent: { nodeName, isReady } });
  };
  return {
    api,
    clock,
    nodes,
    pods,
    node,
    agent,
    taints: (name: string) => stored(name).spec.taints,
    condition: (name: string) => {
      const found = stored(name).status.conditions?.find(({ type }) => type === 'NetworkUnavailable');
      return found && [found.status, found.reason];
    },
    async round(isKnown = true) {
      nodes.replaceAll(api.store.list('nodes').map(parseMarkedNode));
      nodes.markInitialized('nodes');
      if (isKnown) pods.markInitialized('pods');
      await marks.round(new AbortController().signal);
    },
    [Symbol.asyncDispose]: async () => {
      client.close();
      await api.stop();
    },
  };
}

test('a node whose agent is ready loses the taints that kept pods away, and says that it has a network', async () => {
  await using lab = await laboratory();
  lab.node('a', [others, notReady, incumbents]);
  lab.agent('a', true);
  await lab.round();
  assert.deepEqual(lab.taints('a'), [others]);
  assert.deepEqual(lab.condition('a'), ['False', 'SluiceIsUp']);
  const before = lab.api.requests.length;
  await lab.round();
  assert.equal(lab.api.requests.length, before, 'nothing is written twice');
});

test('a node keeps the taint until its agent is ready, and has none for an agent that is being replaced', async () => {
  await using lab = await laboratory();
  lab.node('new', [notReady]);
  lab.node('old', []);
  lab.agent('new', false);
  lab.agent('old', false);
  await lab.round();
  lab.clock.advance(59_000);
  await lab.round();
  assert.deepEqual([lab.taints('new'), lab.taints('old')], [[notReady], []]);
  lab.agent('old', true);
  await lab.round();
  lab.agent('old', false);
  await lab.round();
  lab.clock.advance(59_000);
  await lab.round();
  assert.deepEqual(lab.taints('old'), []);
});

test('a node whose agent stays away gets no new pods until it is back', async () => {
  await using lab = await laboratory();
  lab.node('a', [others]);
  lab.agent('a', false);
  await lab.round();
  lab.clock.advance(60_000);
  await lab.round();
  assert.deepEqual(lab.taints('a'), [others, notReady]);
  lab.agent('a', true);
  await lab.round();
  assert.deepEqual(lab.taints('a'), [others]);
});

test('a node without an agent pod is left as it is', async () => {
  await using lab = await laboratory();
  lab.node('a', [incumbents]);
  await lab.round();
  lab.clock.advance(120_000);
  await lab.round();
  assert.deepEqual(lab.taints('a'), [incumbents]);
  assert.equal(lab.condition('a'), undefined);
});

test('taints that somebody else changes at that moment are not overwritten', async () => {
  await using lab = await laboratory();
  lab.node('a', [notReady]);
  lab.agent('a', true);
  lab.api.fault = (request) => {
    if (request.method === 'PATCH' && lab.api.fault) {
      lab.api.fault = undefined;
      lab.node('a', [notReady, others]);
    }
    return false;
  };
  await lab.round();
  assert.deepEqual(lab.taints('a'), [notReady, others]);
  await lab.round();
  assert.deepEqual(lab.taints('a'), [others]);
});

test('nothing is marked before all nodes and pods are known, and one failure does not keep the others from it', async () => {
  await using lab = await laboratory();
  for (const name of ['a', 'b']) {
    lab.node(name, [notReady]);
    lab.agent(name, true);
  }
  await lab.round(false);
  assert.deepEqual(lab.taints('b'), [notReady]);
  lab.api.fault = (request, response) => {
    if (!request.path.endsWith('/nodes/a')) return false;
    response.writeHead(403, { 'content-type': 'application/json' });
    response.end('{"kind":"Status","code":403,"reason":"Forbidden","message":"cannot get nodes"}');
    return true;
  };
  await assert.rejects(lab.round(), /mark nodes: a: .*403/);
  assert.deepEqual(lab.taints('b'), []);
});
