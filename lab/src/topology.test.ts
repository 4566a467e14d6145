import assert from 'node:assert/strict';
import { test } from 'node:test';
import { labTopology } from './topology.ts';

const homelab = { nodeCount: 3, device: 'eno1', apiServerHost: '10.10.30.10', apiServerPort: 6443 };

test('the API server stands where the values say, and nodes beside it', () => {
  const { apiServer4, router4, nodes } = labTopology(homelab);
  assert.deepEqual([apiServer4, router4], ['10.10.30.10', '10.10.30.1']);
  assert.deepEqual(
    nodes.map(({ name, address4, address6 }) => [name, address4, address6]),
    [
      ['k8s-cp1', '10.10.30.101', 'fd00:10:10:30::101'],
      ['k8s-cp2', '10.10.30.102', 'fd00:10:10:30::102'],
      ['k8s-cp3', '10.10.30.103', 'fd00:10:10:30::103'],
    ],
  );
});

test('an API server among the nodes, or at a name, is refused', () => {
  assert.throws(() => labTopology({ ...homelab, apiServerHost: '10.10.30.101' }), /10\.10\.30\.101/);
  assert.throws(() => labTopology({ ...homelab, apiServerHost: 'api.example.org' }), /api\.example\.org/);
});

test('a number of nodes that the LAN does not hold is refused', () => {
  for (const nodeCount of [0, 21, 1.5]) assert.throws(() => labTopology({ ...homelab, nodeCount }), /1 to 20 nodes/);
});
