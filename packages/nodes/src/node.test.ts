import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, type Prefix, parseAddress, parsePrefix } from '@sluice/net';
import { homelabNodes, nodeObject } from './builders.ts';
import { deriveNodes, type Node } from './node.ts';

const local = { name: 'k8s-cp1' };

function byName(nodes: readonly Node[], name: string): Node {
  const node = nodes.find((row) => row.name === name);
  assert.ok(node, `no row for ${name}`);
  return node;
}

test('other nodes get a tunnel over IPv4 and router addresses of both families, ours gets no tunnel', () => {
  const nodes = deriveNodes(homelabNodes(), local);
  const other = byName(nodes, 'k8s-cp2');
  assert.deepEqual(other.tunnelEndpoint, '10.10.30.102');
  assert.deepEqual(other.routerAddresses, ['10.244.1.1', 'fd00:10:244:1::1']);
  assert.deepEqual([other.local, other.problems], [false, []]);
  const own = byName(nodes, 'k8s-cp1');
  assert.deepEqual([own.local, own.tunnelEndpoint, own.problems], [true, undefined, []]);
});

test('tunnel goes over IPv6 where that is what both nodes have', () => {
  const nodes = deriveNodes(
    [
      nodeObject('k8s-cp1', ['fd00::1'], ['10.244.0.0/24']),
      nodeObject('other', ['10.0.0.2', 'fd00::2'], ['10.244.1.0/24']),
    ],
    local,
  );
  assert.equal(byName(nodes, 'other').tunnelEndpoint, 'fd00::2');
});

test('node of another family only has no tunnel, and the row says why', () => {
  const nodes = deriveNodes(
    [nodeObject('k8s-cp1', ['10.0.0.1'], ['10.244.0.0/24']), nodeObject('other', ['fd00::2'], ['10.244.1.0/24'])],
    local,
  );
  assert.equal(byName(nodes, 'other').tunnelEndpoint, undefined);
  assert.match(byName(nodes, 'other').problems.join(), /no address of a family that this node has/);
});

test('pod CIDR that overlaps another node is refused on the later row only, naming both', () => {
  const nodes = deriveNodes(
    [...homelabNodes(), nodeObject('late', ['10.10.30.200'], ['10.244.1.128/25', 'fd00:10:244:9::/64'])],
    local,
  );
  const late = byName(nodes, 'late');
  assert.deepEqual(late.podCidrs.map(formatPrefix), ['fd00:10:244:9::/64']);
  assert.deepEqual(late.problems, ['pod CIDR 10.244.1.128/25 overlaps 10.244.1.0/24 of node k8s-cp2']);
  assert.deepEqual(byName(nodes, 'k8s-cp2').problems, []);
});

test('our own pod CIDR wins against a node that comes first by name', () => {
  const thief = nodeObject('a-thief', ['10.10.30.200'], ['10.244.0.0/24']);
  const nodes = deriveNodes([thief, ...homelabNodes()], local);
  assert.deepEqual(byName(nodes, 'a-thief').podCidrs, []);
  assert.equal(byName(nodes, 'k8s-cp1').podCidrs.length, 2);
});

test('address of two nodes belongs to the first, the second is refused it', () => {
  const nodes = deriveNodes([...homelabNodes(), nodeObject('twin', ['10.10.30.102'], ['10.244.9.0/24'])], local);
  const twin = byName(nodes, 'twin');
  assert.deepEqual([twin.addresses, twin.tunnelEndpoint], [[], undefined]);
  assert.deepEqual(twin.problems, [
    'address 10.10.30.102 is that of node k8s-cp2',
    'no InternalIP: nothing can be sent to it',
  ]);
});

test('pod CIDR around the address of our node or of its own is refused: its route would cut the network off', () => {
  const lan = nodeObject('a-lan', ['10.10.30.200'], ['10.10.30.0/24']);
  const all = nodeObject('b-all', ['10.10.31.1'], ['0.0.0.0/0']);
  const self = nodeObject('c-self', ['10.10.32.1'], ['10.10.32.0/24']);
  const nodes = deriveNodes([lan, all, self, ...homelabNodes()], local);
  for (const name of ['a-lan', 'b-all', 'c-self']) assert.deepEqual(byName(nodes, name).podCidrs, []);
  assert.deepEqual(byName(nodes, 'a-lan').problems, [
    'pod CIDR 10.10.30.0/24 holds the address 10.10.30.101 of a node',
  ]);
  assert.equal(byName(nodes, 'k8s-cp2').tunnelEndpoint, '10.10.30.102');
});

test('node with an address among pods is refused it', () => {
  const nodes = deriveNodes([nodeObject('a-thief', ['10.244.1.7'], []), ...homelabNodes()], local);
  assert.deepEqual(byName(nodes, 'a-thief').problems, [
    'address 10.244.1.7 is among the pods of node k8s-cp2, 10.244.1.0/24',
    'no InternalIP: nothing can be sent to it',
  ]);
  assert.equal(byName(nodes, 'k8s-cp2').podCidrs.length, 2);
});

test('node without an address stays a row with its problem, the others go on', () => {
  const nodes = deriveNodes([...homelabNodes(), nodeObject('bare', [], ['10.244.9.0/24'])], local);
  assert.equal(nodes.length, 4);
  assert.deepEqual(byName(nodes, 'bare').problems, ['no InternalIP: nothing can be sent to it']);
});

test("problems that the object's parser found are on the row", () => {
  const [first] = homelabNodes();
  assert.ok(first);
  const nodes = deriveNodes([{ ...first, problems: ['spec.podCIDRs[1]: "x" is not a prefix'] }], local);
  assert.deepEqual(byName(nodes, 'k8s-cp1').problems, ['spec.podCIDRs[1]: "x" is not a prefix']);
});

test('second pod CIDR of a family and one without room for a pod are refused', () => {
  const nodes = deriveNodes(
    [nodeObject('k8s-cp1', ['10.0.0.1'], ['10.1.0.0/24', '10.2.0.0/24', 'fd00::1/128'])],
    local,
  );
  const node = byName(nodes, 'k8s-cp1');
  assert.deepEqual(node.podCidrs.map(formatPrefix), ['10.1.0.0/24']);
  assert.deepEqual(node.problems, [
    'pod CIDR 10.2.0.0/24 is a second one of its family, 10.1.0.0/24 is used',
    'pod CIDR fd00::1/128 is too small for a router and a pod',
  ]);
});

test('while the API is away our own node is as it was last known', () => {
  const lastKnown = { addresses: [parseAddress('10.0.0.1')], podCidrs: [parsePrefix('10.244.0.0/24')] };
  const [node] = deriveNodes([], { ...local, lastKnown });
  assert.deepEqual([node?.local, node?.addresses, node?.routerAddresses], [true, ['10.0.0.1'], ['10.244.0.1']]);
});

test('Node object that was made anew without pod CIDRs does not take those in use away', () => {
  const lastKnown = { addresses: [parseAddress('10.0.0.1')], podCidrs: [parsePrefix('10.244.0.0/24')] };
  const [node] = deriveNodes([nodeObject('k8s-cp1', ['10.0.0.7'], [])], { ...local, lastKnown });
  assert.deepEqual([node?.addresses, node?.podCidrs.map(formatPrefix)], [['10.0.0.7'], ['10.244.0.0/24']]);
});

test('without objects and without a memory there are no rows', () => {
  assert.deepEqual(deriveNodes([], local), []);
});

test('a pod CIDR that overlaps services is refused, whichever is the larger, also our own', () => {
  const serviceCidrs = [parsePrefix('10.96.0.0/16'), parsePrefix('10.97.0.0/16'), parsePrefix('10.244.0.0/26')];
  const around = nodeObject('around', ['10.10.30.150'], ['10.96.0.0/15']);
  const inside = nodeObject('inside', ['10.10.30.151'], ['10.97.7.0/24']);
  const nodes = deriveNodes([around, inside, ...homelabNodes()], { ...local, serviceCidrs });
  const find = (name: string) => byName(nodes, name);
  assert.deepEqual(find('around').problems, ['pod CIDR 10.96.0.0/15 overlaps 10.96.0.0/16, where services are']);
  assert.deepEqual(find('inside').problems, ['pod CIDR 10.97.7.0/24 overlaps 10.97.0.0/16, where services are']);
  assert.deepEqual(find('k8s-cp1').problems, ['pod CIDR 10.244.0.0/24 overlaps 10.244.0.0/26, where services are']);
  assert.deepEqual(find('k8s-cp1').podCidrs.map(formatPrefix), ['fd00:10:244::/64']);
});

test('a pod CIDR that overlaps a network of our devices is refused, for it would be cut off', () => {
  const networks = [
    { prefix: parsePrefix('10.244.1.0/26'), device: 'docker0' },
    { prefix: parsePrefix('fd00:10:244:2::/48', { lenient: true }), device: 'eno2' },
  ];
  const nodes = deriveNodes(homelabNodes(), { ...local, networks });
  assert.deepEqual(byName(nodes, 'k8s-cp2').problems, [
    'pod CIDR 10.244.1.0/24 overlaps 10.244.1.0/26, a network of device docker0',
    'pod CIDR fd00:10:244:1::/64 overlaps fd00:10:244::/48, a network of device eno2',
  ]);
  assert.deepEqual(byName(nodes, 'k8s-cp3').podCidrs.map(formatPrefix), ['10.244.2.0/24']);
});

test('a pod CIDR that is in use when services or a network come to overlap it stays, and the row says so', () => {
  const serviceCidrs = [parsePrefix('10.244.1.0/24')];
  const networks = [{ prefix: parsePrefix('10.244.0.0/24'), device: 'br0' }];
  const isInUse = (prefix: Prefix) => prefix.address.startsWith('10.244.');
  const nodes = deriveNodes(homelabNodes(), { ...local, serviceCidrs, networks, isInUse });
  assert.deepEqual(
    nodes.map(({ podCidrs, problems }) => [podCidrs.length, ...problems]),
    [
      [2, 'pod CIDR 10.244.0.0/24 overlaps 10.244.0.0/24, a network of device br0; it stays, because it is in use'],
      [2, 'pod CIDR 10.244.1.0/24 overlaps 10.244.1.0/24, where services are; it stays, because it is in use'],
      [2],
    ],
  );
});

test('an address at which no other node can be reached is refused', () => {
  for (const address of ['127.0.0.1', '169.254.1.1', '::1', 'fe80::1', '0.0.0.0']) {
    const [node] = deriveNodes([nodeObject('odd', [address], [])], local);
    assert.match(node?.problems[0] ?? '', new RegExp(`^address ${address.replaceAll('.', '\\.')} cannot be a node's`));
    assert.equal(node?.tunnelEndpoint, undefined);
  }
});
