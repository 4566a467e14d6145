import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createFakeMap } from '@sluice/bpf';
import { devicesMap, endpointsMap, ipcachePrefixMap } from '@sluice/datapath';
import { parseAddress, parseMac } from '@sluice/net';
import { fakeClock } from '@sluice/runtime';
import { homelabNodes } from './builders.ts';
import { desiredHostEndpoints, desiredIpcachePrefixes } from './desired.ts';
import { deriveNodes, type Node } from './node.ts';
import type { NodeMaps } from './ports.ts';
import { hostEndpointReconciler, ipcachePrefixReconciler } from './reconcilers.ts';

const mac = parseMac('02:00:00:00:00:01');
const podMac = parseMac('02:00:00:00:00:02');
const pod = { id: 5, ifindex: 9, identity: 300, flags: 0, mac: podMac, nodeMac: mac };

/** Two reconcilers of a node on maps that encode as the kernel's do. */
function laboratory(options: { initialized: boolean }) {
  const maps = {
    devices: createFakeMap(devicesMap),
    endpoints: createFakeMap(endpointsMap),
    ipcachePrefix: createFakeMap(ipcachePrefixMap),
  } satisfies Partial<NodeMaps>;
  const state = { nodes: deriveNodes(homelabNodes(), { name: 'k8s-cp1' }), ...options };
  const common = { clock: fakeClock() };
  const wanted = <Row>(derive: (nodes: Node[]) => ReadonlyMap<string, Row>) => ({
    desired: () => derive(state.nodes),
    initialized: () => state.initialized,
  });
  const local = (nodes: Node[]) => nodes.find((node) => node.local);
  const all = [
    ipcachePrefixReconciler(
      maps.ipcachePrefix,
      wanted((nodes) => desiredIpcachePrefixes(nodes, [])),
      common,
    ),
    hostEndpointReconciler(
      maps.endpoints,
      wanted((nodes) => desiredHostEndpoints(local(nodes), [], { hostIfindex: 7, hostMac: mac })),
      common,
    ),
  ];
  for (const each of all) each.start();
  return {
    maps,
    state,
    async settle() {
      for (const each of all) {
        each.triggerFull();
        await each.flush();
      }
    },
    repairs: () => all.map((each) => each.summary().repairs),
  };
}

test('maps get the rows of all nodes, found again by longest prefix', async () => {
  const lab = laboratory({ initialized: true });
  await lab.settle();
  assert.deepEqual([lab.maps.ipcachePrefix.count(), lab.maps.endpoints.count()], [6, 4]);
  const remotePod = { prefixLength: 128, address: parseAddress('10.244.2.77') };
  assert.equal(lab.maps.ipcachePrefix.lookup(remotePod)?.tunnelEndpoint, '10.10.30.103');
  const remotePod6 = { prefixLength: 128, address: parseAddress('fd00:10:244:1::77') };
  assert.equal(lab.maps.ipcachePrefix.lookup(remotePod6)?.tunnelEndpoint, '10.10.30.102');
});

test("node that disappears takes its rows along, and nobody else's", async () => {
  const lab = laboratory({ initialized: true });
  await lab.settle();
  lab.state.nodes = deriveNodes(homelabNodes().slice(0, 2), { name: 'k8s-cp1' });
  await lab.settle();
  assert.deepEqual([lab.maps.ipcachePrefix.count(), lab.maps.endpoints.count()], [4, 4]);
});

test('rows of an earlier process go when all nodes are known, not before', async () => {
  const lab = laboratory({ initialized: false });
  const stale = { tunnelEndpoint: parseAddress('10.10.30.250'), identity: 6, flags: 0, mtu: 0 };
  lab.maps.ipcachePrefix.update({ prefixLength: 0, address: undefined }, stale);
  await lab.settle();
  assert.equal(lab.maps.ipcachePrefix.count(), 7);
  lab.state.initialized = true;
  await lab.settle();
  assert.equal(lab.maps.ipcachePrefix.count(), 6);
});

test("pods' rows in the same map are never touched, stale host rows are pruned", async () => {
  const lab = laboratory({ initialized: true });
  lab.maps.endpoints.update(parseAddress('10.244.0.5'), pod);
  lab.maps.endpoints.update(parseAddress('10.10.30.99'), { ...pod, flags: 1 });
  await lab.settle();
  assert.deepEqual(lab.maps.endpoints.lookup(parseAddress('10.244.0.5')), pod);
  assert.equal(lab.maps.endpoints.lookup(parseAddress('10.10.30.99')), undefined);
});

test('row that somebody changed is repaired and counted', async () => {
  const lab = laboratory({ initialized: true });
  await lab.settle();
  lab.maps.endpoints.update(parseAddress('10.244.0.1'), { ...pod, flags: 1 });
  await lab.settle();
  assert.deepEqual(lab.repairs(), [0, 1]);
  assert.equal(lab.maps.endpoints.lookup(parseAddress('10.244.0.1'))?.ifindex, 7);
});
