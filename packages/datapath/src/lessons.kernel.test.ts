// What others had to learn by CVEs, of services: each is tried here with the hole open that it came through.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { after, test } from 'node:test';
import { type Mac, packet, parseAddress } from '@sluice/net';
import { sendDatagrams } from '../test/datagrams.ts';
import { createTestNode, dropsOf } from '../test/node.ts';
import { UDP, writeService } from '../test/services.ts';
import { udpServer, udpSocket } from '../test/sockets.ts';
import { inject } from '../test/wire.ts';
import { connectWorld } from '../test/world.ts';
import { FrontendFlag } from './index.ts';

const LOOPBACK = parseAddress('127.0.0.1');
const BALANCER = parseAddress('203.0.113.5');
const REPLACEMENTS = 10;

const node = createTestNode(1);
const world = connectWorld(node);
const beyond = connectWorld(node, { number: 1, destinations: ['198.18.0.0/15'] });
const pod = node.addPod(10, 1000);
const server = node.addPod(11, 1001);
world.addRoute('203.0.113.0/24');
world.addRoute('192.0.3.0/24');
after(() => {
  for (const each of [beyond, world, node]) each[Symbol.dispose]();
});

const counted = (reason: string): number => dropsOf(node)[reason] ?? 0;

test('CVE-2020-8558: nobody reaches what listens at loopback of the node, though route_localnet is set', () => {
  node.namespace.run(() => {
    for (const name of ['route_localnet', 'accept_local']) writeFileSync(`/proc/sys/net/ipv4/conf/all/${name}`, '1');
    writeFileSync('/proc/sys/net/ipv4/conf/all/rp_filter', '0');
    for (const device of [world.device, pod.device]) writeFileSync(`/proc/sys/net/ipv4/conf/${device}/rp_filter`, '0');
  });
  node.netlink.links.set({ ifindex: 1, up: true });
  using own = udpServer(node, LOOPBACK, 9000);
  const to = (destinationMac: Mac, source: string, destination: string) =>
    packet()
      .ethernet({ source: world.mac, destination: destinationMac })
      .ipv4({ source, destination })
      .udp({ sourcePort: 5000, destinationPort: 9000 })
      .payload('let me in');
  const before = counted('loopback_address');
  inject(world.namespace, world.wanIfindex, to(world.nodeMac, world.addresses.ipv4, LOOPBACK));
  inject(world.namespace, world.wanIfindex, to(world.nodeMac, LOOPBACK, world.nodeAddresses.ipv4));
  assert.equal(own.receive(), undefined);
  assert.equal(counted('loopback_address'), before + 2);
  // The same, where nobody looks: the kernel alone lets it in.
  node.datapath.detachNetworkDevice(world.device);
  inject(world.namespace, world.wanIfindex, to(world.nodeMac, world.addresses.ipv4, LOOPBACK));
  assert.equal(own.receive(), 'let me in');
  node.namespace.run(() => node.datapath.attachNetworkDevice(world.device, world.ifindex));
});

test('CVE-2025-67499: what is only routed through the node, to the number of a NodePort or host port, goes on', () => {
  const backends = [{ id: 1, address: server.addresses.ipv4, port: 8080 }];
  const row = { protocol: UDP, flags: FrontendFlag.External, backends };
  writeService(node.datapath.maps, { ...row, id: 1, address: parseAddress('0.0.0.0'), port: 30_080 });
  writeService(node.datapath.maps, { ...row, id: 2, address: world.nodeAddresses.ipv4, port: 8088 });
  using captured = udpServer(server, server.addresses.ipv4, 8080);
  for (const port of [30_080, 8088]) {
    using meant = udpServer(beyond, beyond.addresses.ipv4, port);
    using client = udpSocket(world, 4);
    client.connect(beyond.addresses.ipv4, port);
    client.send('for somebody else');
    assert.equal(meant.receive(), 'for somebody else');
    client.connect(world.nodeAddresses.ipv4, port);
    client.send('for the service');
    assert.equal(captured.receive(), 'for the service');
  }
});

test('CVE-2023-27595: nobody slips past the source ranges while programs are replaced', async () => {
  const row = { id: 3, address: BALANCER, port: 53, protocol: UDP, generation: 3 };
  const backends = [{ id: 3, address: server.addresses.ipv4, port: 5353 }];
  const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
  writeService(node.datapath.maps, { ...row, backends, flags, sourceRanges: ['198.51.100.0/24'] });
  using receiver = udpServer(server, server.addresses.ipv4, 5353);
  const before = counted('client_not_allowed');
  const floods = [world, pod].map((client) => sendDatagrams(client, BALANCER, 53));
  const goOn = async (): Promise<void> => {
    const then = floods.map(({ sent }) => sent);
    while (floods.some(({ sent }, index) => sent === then[index]))
      await new Promise((resolve) => setImmediate(resolve));
  };
  for (let replacement = 0; replacement < REPLACEMENTS; replacement += 1) {
    await goOn();
    const nodeIdentity = node.configuration.nodeIdentity + 1 + replacement;
    node.namespace.run(() => node.datapath.reconfigure({ ...node.configuration, nodeIdentity }));
    using socket = udpSocket(node, 4);
    assert.throws(() => socket.connect(BALANCER, 53), { code: 'EPERM' });
  }
  await goOn();
  const [fromOutside = 0, fromPod = 0] = await Promise.all(floods.map((each) => each.end()));
  assert.equal(receiver.receiveNow(), undefined);
  assert.equal(counted('client_not_allowed'), before + fromOutside + fromPod + REPLACEMENTS);
  // Who is let in gets there by the same programs.
  writeService(node.datapath.maps, { ...row, generation: 4, backends, flags, sourceRanges: ['0.0.0.0/0'] });
  using allowed = udpSocket(world, 4);
  allowed.connect(BALANCER, 53);
  allowed.send('now');
  assert.equal(receiver.receive(), 'now');
});
