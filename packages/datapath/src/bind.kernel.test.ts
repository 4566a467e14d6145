// Ports that services have, and processes that bind them.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress } from '@sluice/ffi';
import { type Address, addressToBytes, addressToWire, familyOf, parseAddress } from '@sluice/net';
import { createTestNode, dropsOf } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { type Place, tcpSocket, udpSocket } from '../test/sockets.ts';
import { DropReason, FrontendFlag, FrontendScope, type PacketDrop, TracePoint } from './index.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
const loopback = { ipv4: parseAddress('127.0.0.1'), ipv6: parseAddress('::1') } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;
const clusterIp = { ipv4: parseAddress('10.96.0.20'), ipv6: parseAddress('fd00:10:96::20') } as const;

const node = createTestNode(1);
const pod = node.addPod(10, 1000);
node.netlink.links.set({ ifindex: 1, up: true });
after(() => node[Symbol.dispose]());
// Every address of these tests is one of the device lo, so that a bind fails for no other reason.
for (const { ipv4, ipv6 } of [node.addresses, clusterIp]) {
  node.netlink.addresses.add({ ifindex: 1, address: ipv4, length: 32 });
  node.netlink.addresses.add({ ifindex: 1, address: ipv6, length: 128, noDad: true });
}

let numbers = 0;

interface Row {
  readonly address: Address;
  readonly protocol?: number;
  readonly port?: number;
  readonly flags?: number;
  readonly scope?: number;
}

function serve({ address, protocol = TCP, port, flags = FrontendFlag.External, scope = 0 }: Row): number {
  numbers += 1;
  const row = { id: numbers, address, port: port ?? 30_000 + numbers, protocol, flags, scope, backends: [] };
  writeService(node.datapath.maps, row);
  return row.port;
}

/** What bind() fails with; `bound`: it does not. */
function bindAt(place: Place, address: Address, port: number, protocol = TCP): string {
  const family = familyOf(address);
  using socket = protocol === TCP ? tcpSocket(place, family) : udpSocket(place, family);
  try {
    bind(socket.fd, internetAddress(addressToWire(address), port));
    return 'bound';
  } catch (error) {
    return error instanceof Error && 'code' in error ? String(error.code) : assert.fail(String(error));
  }
}

for (const [, family] of families) {
  const [own, any] = [node.addresses[family], unspecified[family]];

  test(`a process of the node does not get the number of a NodePort, at any address or at one that has it (${family})`, () => {
    for (const protocol of [TCP, UDP]) {
      const port = serve({ address: any, protocol });
      for (const address of [any, own]) assert.equal(bindAt(node, address, port, protocol), 'EADDRINUSE');
      assert.equal(bindAt(node, any, port, protocol === TCP ? UDP : TCP), 'bound', 'of the other protocol');
      assert.equal(bindAt(node, loopback[family], port, protocol), 'bound', 'no NodePort is at loopback');
    }
  });

  test(`a NodePort of policy Local is one all the same (${family})`, () => {
    const port = serve({ address: any, flags: 0 });
    serve({ address: any, port, scope: FrontendScope.External });
    assert.equal(bindAt(node, any, port), 'EADDRINUSE');
  });

  test(`a host port is taken at its address, and at any where it is at loopback as well (${family})`, () => {
    const named = serve({ address: own, port: 8080 + numbers });
    assert.equal(bindAt(node, own, named), 'EADDRINUSE');
    assert.equal(bindAt(node, any, named), 'bound');
    const everywhere = serve({ address: own, port: 9080 + numbers });
    serve({ address: loopback[family], port: everywhere, flags: FrontendFlag.Loopback });
    for (const address of [own, any, loopback[family]]) assert.equal(bindAt(node, address, everywhere), 'EADDRINUSE');
  });

  test(`a ClusterIP takes no port from anybody (${family})`, () => {
    const port = serve({ address: clusterIp[family], flags: 0 });
    assert.equal(bindAt(node, clusterIp[family], port), 'bound');
  });

  test(`a pod binds what it likes: its ports are its own (${family})`, () => {
    const port = serve({ address: any });
    for (const address of [any, pod.addresses[family]]) assert.equal(bindAt(pod, address, port), 'bound');
  });

  test(`what was bound before the service came stays bound (${family})`, () => {
    using before = tcpSocket(node, family === 'ipv4' ? 4 : 6);
    bind(before.fd, internetAddress(addressToWire(own), 31_900));
    serve({ address: any, port: 31_900 });
    assert.equal(bindAt(node, own, 31_900), 'EADDRINUSE');
    using client = tcpSocket(node, family === 'ipv4' ? 4 : 6);
    assert.throws(() => client.connect(own, 31_900), { code: 'ECONNREFUSED' });
  });
}

test('an IPv6 socket at any address would take the IPv4 port as well, and so would one at a mapped address', () => {
  const port = serve({ address: unspecified.ipv4 });
  assert.equal(bindAt(node, unspecified.ipv6, port), 'EADDRINUSE');
  using mapped = tcpSocket(node, 4, { mapped: true });
  assert.throws(() => bind(mapped.fd, internetAddress(addressToBytes(node.addresses.ipv4), port)), {
    code: 'EADDRINUSE',
  });
});

test('a refused bind is counted and told, with the port that was asked for', () => {
  const port = serve({ address: unspecified.ipv4 });
  const told: PacketDrop[] = [];
  using drops = node.datapath.events((event) => void (event.type === 'drop' && told.push(event)));
  const before = dropsOf(node).port_of_service ?? 0;
  assert.equal(bindAt(node, node.addresses.ipv4, port), 'EADDRINUSE');
  drops.drain();
  assert.equal(dropsOf(node).port_of_service, before + 1);
  const [last] = told.slice(-1);
  assert.deepEqual(
    [last?.reason, last?.direction, last?.tracePoint, last?.destination, last?.destinationPort, last?.sourceIdentity],
    [DropReason.PortOfService, 'egress', TracePoint.Socket, node.addresses.ipv4, port, 1],
  );
});

test('switched off, or in another namespace than it is told, nobody is refused', () => {
  const port = serve({ address: unspecified.ipv4 });
  const { configuration } = node;
  for (const other of [{ bindProtection: 0 }, { hostNetnsCookie: 1n }]) {
    node.datapath.reconfigure({ ...configuration, ...other });
    node.namespace.run(() => node.datapath.attachSock());
    assert.equal(bindAt(node, unspecified.ipv4, port), 'bound');
  }
  node.datapath.reconfigure(configuration);
  node.namespace.run(() => node.datapath.attachSock());
  assert.equal(bindAt(node, unspecified.ipv4, port), 'EADDRINUSE');
});
