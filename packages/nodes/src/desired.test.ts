import assert from 'node:assert/strict';
import { test } from 'node:test';
import { EndpointFlag, IpcacheFlag } from '@sluice/datapath';
import { parseAddress, parseMac, parsePrefix } from '@sluice/net';
import { homelabNodes, nodeObject, serviceCidr } from './builders.ts';
import { desiredHostEndpoints, desiredIpcachePrefixes, desiredRoutes } from './desired.ts';
import { deriveNodes } from './node.ts';

const nodes = deriveNodes(homelabNodes(), { name: 'k8s-cp1' });
const routers = ['10.244.0.1', 'fd00:10:244::1'].map(parseAddress);
const target = { hostIfindex: 7, podMtu: 1450, routerAddresses: routers };

test('every pod CIDR and service CIDR is routed to sluice_host from the router address of its family', () => {
  const routes = desiredRoutes(nodes, [serviceCidr('10.96.0.0/16', 'fd00:10:96::/112')], target);
  assert.deepEqual(
    [...routes].map(([key, row]) => [key, row.ifindex, row.source, row.mtu]),
    [
      ['10.244.0.0/24', 7, routers[0], 1450],
      ['fd00:10:244::/64', 7, routers[1], 1450],
      ['10.244.1.0/24', 7, routers[0], 1450],
      ['fd00:10:244:1::/64', 7, routers[1], 1450],
      ['10.244.2.0/24', 7, routers[0], 1450],
      ['fd00:10:244:2::/64', 7, routers[1], 1450],
      ['10.96.0.0/16', 7, routers[0], 1450],
      ['fd00:10:96::/112', 7, routers[1], 1450],
    ],
  );
});

test('family without a router address here has no routes', () => {
  const routes = desiredRoutes(nodes, [serviceCidr('fd00:10:96::/112')], {
    ...target,
    routerAddresses: routers.slice(0, 1),
  });
  assert.deepEqual([...routes.keys()], ['10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24']);
});

test('pods of other nodes are behind the tunnel by prefix; what else our pods and services could be is nowhere', () => {
  const unreachable = nodeObject('no-address', [], ['10.244.9.0/24']);
  const services = serviceCidr('10.96.0.0/16');
  const rows = desiredIpcachePrefixes(deriveNodes([...homelabNodes(), unreachable], { name: 'k8s-cp1' }), [services]);
  assert.deepEqual(
    [...rows].filter(([, row]) => row.flags === IpcacheFlag.Unroutable).map(([key]) => key),
    ['10.96.0.0/16', '10.244.0.0/24', 'fd00:10:244::/64', '10.244.9.0/24'],
  );
  assert.deepEqual(
    [...rows].filter(([, row]) => row.flags === 0).map(([key, row]) => [key, row.tunnelEndpoint]),
    [
      ['10.244.1.0/24', '10.10.30.102'],
      ['fd00:10:244:1::/64', '10.10.30.102'],
      ['10.244.2.0/24', '10.10.30.103'],
      ['fd00:10:244:2::/64', '10.10.30.103'],
    ],
  );
});

test('addresses of the node, of its router and of its selected devices are the host', () => {
  const mac = parseMac('02:00:00:00:00:01');
  const vip = {
    name: 'eno1',
    ifindex: 2,
    mtu: 1500,
    kind: undefined,
    up: true,
    addresses: [parseAddress('10.10.30.10')],
    sources: [],
  };
  const devices = [
    { ...vip, selected: true, why: '' },
    { ...vip, name: 'docker0', addresses: [parseAddress('172.17.0.1')], selected: false, why: '' },
  ];
  const rows = desiredHostEndpoints(nodes[0], devices, { hostIfindex: 7, hostMac: mac });
  assert.deepEqual([...rows.keys()].sort(), [
    '10.10.30.10',
    '10.10.30.101',
    '10.244.0.1',
    'fd00:10:10:30::101',
    'fd00:10:244::1',
  ]);
  assert.deepEqual(rows.get('10.244.0.1'), { id: 0, ifindex: 7, identity: 1, flags: 1, mac, nodeMac: mac });
});

test('addresses outside of nodePort.addresses are the host, too, and have no NodePorts', () => {
  const mac = parseMac('02:00:00:00:00:01');
  const withNodePorts = (...prefixes: readonly string[]) => {
    const nodePortAddresses = prefixes.map((text) => parsePrefix(text));
    const rows = desiredHostEndpoints(nodes[0], [], { hostIfindex: 7, hostMac: mac, nodePortAddresses });
    assert.equal(rows.size, 4);
    return [...rows].filter(([, { flags }]) => flags === EndpointFlag.Host).map(([address]) => address);
  };
  assert.deepEqual(withNodePorts('10.10.30.0/24', 'fd00::/16').toSorted(), [
    '10.10.30.101',
    'fd00:10:10:30::101',
    'fd00:10:244::1',
  ]);
  assert.deepEqual(withNodePorts('192.0.2.0/24', '127.0.0.0/8'), []);
  assert.equal(withNodePorts().length, 4);
});
