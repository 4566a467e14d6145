import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { type HostPort, type HostPortNode, hostPortFrontends, hostPortText, unservedHostPort } from './host-ports.ts';

const node: HostPortNode = {
  nodeName: 'node-1',
  nodePorts: { first: 30_000, last: 32_767 },
  kept: [{ port: 10_250, protocol: 'TCP', whose: "the kubelet's" }],
  addresses: ['10.10.30.101', 'fd00:10:10:30::101'].map((text) => parseAddress(text)),
};

const port = (hostPort: number, more: Partial<HostPort> = {}): HostPort => ({
  ...{ hostPort, containerPort: 80, protocol: 'TCP', hostIp: undefined },
  ...more,
});

const frontendsOf = (ports: readonly HostPort[], addresses: readonly string[] = ['10.244.1.2', 'fd00:10:244:1::2']) =>
  hostPortFrontends(
    { name: 'shop/web', createdAt: '', ports, addresses: addresses.map((text): Address => parseAddress(text)) },
    node,
  ).map(({ key, isExternal, backends }) => `${key} ${isExternal ? 'all' : 'node'}: ${backends.map((one) => one.key)}`);

test('a host port stands at every address of the node, and at loopback for the node itself', () => {
  assert.deepEqual(frontendsOf([port(8080)]), [
    '10.10.30.101:8080/TCP all: 10.244.1.2:80/TCP',
    '[fd00:10:10:30::101]:8080/TCP all: [fd00:10:244:1::2]:80/TCP',
    '127.0.0.1:8080/TCP node: 10.244.1.2:80/TCP',
    '[::1]:8080/TCP node: [fd00:10:244:1::2]:80/TCP',
  ]);
});

test('with an address of its own it stands there alone, and a pod without the family has none', () => {
  const own = port(53, { hostIp: parseAddress('10.10.30.101'), protocol: 'UDP' });
  assert.deepEqual(frontendsOf([own]), ['10.10.30.101:53/UDP all: 10.244.1.2:80/UDP']);
  assert.deepEqual(frontendsOf([own], ['fd00:10:244:1::2']), []);
  const local = port(53, { hostIp: parseAddress('127.0.0.1') });
  assert.deepEqual(frontendsOf([local]), ['127.0.0.1:53/TCP node: 10.244.1.2:80/TCP']);
});

test('what cannot be served says why, and the others go on', () => {
  const refused: readonly [HostPort, RegExp][] = [
    [port(30_080), /nodePort\.range \(30000 to 32767\)/],
    [port(10_250), /10250\/TCP is the kubelet's on this node/],
    [port(80, { protocol: 'SCTP' }), /SCTP is not served/],
    [port(80, { hostIp: parseAddress('192.0.2.1') }), /192\.0\.2\.1 is no address of this node/],
  ];
  for (const [one, why] of refused) assert.match(String(unservedHostPort(one, node)), why);
  assert.equal(frontendsOf([...refused.map(([one]) => one), port(8080)]).length, 4);
  assert.deepEqual([port(80), port(80, { hostIp: parseAddress('::1') })].map(hostPortText), [
    '*:80/TCP',
    '[::1]:80/TCP',
  ]);
});
