import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cablesOf, labTopology } from './topology.ts';

const homelab = {
  nodeCount: 3,
  devices: ['eno1'],
  families: [4, 6],
  apiServerHost: '10.10.30.10',
  apiServerPort: 6443,
} as const;

test('the API server stands where the values say, and nodes beside it', () => {
  const { apiServer, nodes } = labTopology(homelab);
  assert.deepEqual(apiServer, { 4: '10.10.30.10', 6: 'fd00:10:10:30::10' });
  assert.deepEqual(
    nodes.map(({ name, addresses }) => [name, addresses[4], addresses[6]]),
    [
      ['k8s-cp1', '10.10.30.101', 'fd00:10:10:30::101'],
      ['k8s-cp2', '10.10.30.102', 'fd00:10:10:30::102'],
      ['k8s-cp3', '10.10.30.103', 'fd00:10:10:30::103'],
    ],
  );
});

test('an API server among the nodes, outside, in place of the router, or at a name is refused', () => {
  for (const apiServerHost of ['10.10.30.101', '203.0.113.5', '10.10.30.1', '10.10.30.255', 'api.example.org'])
    assert.throws(() => labTopology({ ...homelab, apiServerHost }), new RegExp(`stand at ${apiServerHost}: `));
  assert.equal(labTopology({ ...homelab, apiServerHost: '192.168.1.200' }).nodes[0]?.addresses[4], '192.168.1.101');
});

test('a number of nodes that the LAN does not hold is refused', () => {
  for (const nodeCount of [0, 21, 1.5]) assert.throws(() => labTopology({ ...homelab, nodeCount }), /1 to 20 nodes/);
});

test('the router is the only way out: every other host sends there what is not for its own networks', () => {
  const { surroundings, nodes } = labTopology(homelab);
  const gateways = Object.fromEntries([...surroundings, ...nodes].map(({ name, gateways }) => [name, gateways[4]]));
  assert.deepEqual(gateways, {
    lan: '10.10.30.1',
    router: undefined,
    internet: '198.51.100.1',
    client: '203.0.113.1',
    'k8s-cp1': '10.10.30.1',
    'k8s-cp2': '10.10.30.1',
    'k8s-cp3': '10.10.30.1',
  });
});

test('a lab of one family has no address of the other anywhere', () => {
  for (const [families, other] of [
    [[4], /:.*\//],
    [[6], /\d\.\d/],
  ] as const) {
    const topology = labTopology({ ...homelab, families, devices: ['eno1', 'eno2'] });
    const { cables, switches, world } = topology;
    const addresses = [
      ...cables.flatMap(({ near, far }) => [...near.addresses, ...far.addresses]),
      ...switches.flatMap((lanSwitch) => lanSwitch.addresses),
    ];
    assert.ok(addresses.length > 10);
    for (const address of addresses) assert.doesNotMatch(address, other);
    assert.equal(world.ipv4Only !== undefined, families[0] === 4);
    assert.equal(world.ipv6Only !== undefined, families[0] === 6);
  }
});

test('a second device is on a LAN of its own, to which the router is connected, too', () => {
  const topology = labTopology({ ...homelab, devices: ['eno1', 'eno2'] });
  const ends = [...cablesOf(topology, 'k8s-cp2'), ...cablesOf(topology, 'router')].map(({ near, far }) => [
    near.device,
    near.addresses.join(' '),
    far.bridge,
  ]);
  assert.deepEqual(ends, [
    ['eno1', '10.10.30.102/24 fd00:10:10:30::102/64', 'switch'],
    ['eno2', '10.10.31.102/24 fd00:10:10:31::102/64', 'switch2'],
    ['lan', '10.10.30.1/24 fd00:10:10:30::1/64', 'switch'],
    ['lan2', '10.10.31.1/24 fd00:10:10:31::1/64', 'switch2'],
  ]);
});
