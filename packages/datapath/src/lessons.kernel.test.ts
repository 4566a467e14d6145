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

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
const LOOPBACK = parseAddress('127.0.0.1');
const balancer = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;
const ranges = {
  ipv4: { others: '198.51.100.0/24', all: '0.0.0.0/0' },
  ipv6: { others: '2001:db8:51::/48', all: '::/0' },
} as const;
const REPLACEMENTS = 10;

const node = createTestNode(1);
const world = connectWorld(node);
const beyond = connectWorld(node, { number: 1, destinations: ['198.18.0.0/15'] });
const pod = node.addPod(10, 1000);
const server = node.addPod(11, 1001);
for (const destination of ['203.0.113.0/24', '192.0.3.0/24', '2001:db8:113::/64', '2001:db8:1::/64'])
  world.addRoute(destination);
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

let services = 0;

for (const [version, family] of families) {
  test(`CVE-2025-67499: what is only routed through the node, to the number of a NodePort or host port, goes on (${family})`, () => {
    const rows = [
      [unspecified[family], 30_080],
      [world.nodeAddresses[family], 8088],
    ] as const;
    using captured = udpServer(server, server.addresses[family], 8080);
    for (const [address, port] of rows) {
      services += 1;
      const backends = [{ id: services, address: server.addresses[family], port: 8080 }];
      const row = { protocol: UDP, flags: FrontendFlag.External, backends };
      writeService(node.datapath.maps, { ...row, id: services, generation: services, address, port });
      using meant = udpServer(beyond, beyond.addresses[family], port);
      using client = udpSocket(world, version);
      client.connect(beyond.addresses[family], port);
      client.send('for somebody else');
      assert.equal(meant.receive(), 'for somebody else');
      client.connect(world.nodeAddresses[family], port);
      client.send('for the service');
      assert.equal(captured.receive(), 'for the service');
    }
  });

  test(`CVE-2023-27595: nobody slips past the source ranges while programs are replaced (${family})`, async () => {
    const address = balancer[family];
    services += 1;
    const row = { id: services, address, port: 53, protocol: UDP, generation: 10 * services };
    const backends = [{ id: services, address: server.addresses[family], port: 5353 }];
    const flags = FrontendFlag.External | FrontendFlag.SourceRanges;
    writeService(node.datapath.maps, { ...row, backends, flags, sourceRanges: [ranges[family].others] });
    using receiver = udpServer(server, server.addresses[family], 5353);
    const before = counted('client_not_allowed');
    const floods = [world, pod].map((client) => sendDatagrams(client, address, 53));
    const goOn = async (): Promise<void> => {
      const then = floods.map(({ sent }) => sent);
      while (floods.some(({ sent }, index) => sent === then[index]))
        await new Promise((resolve) => setImmediate(resolve));
    };
    for (let replacement = 0; replacement < REPLACEMENTS; replacement += 1) {
      await goOn();
      const nodeIdentity = node.configuration.nodeIdentity + 1 + replacement + REPLACEMENTS * services;
      node.namespace.run(() => node.datapath.reconfigure({ ...node.configuration, nodeIdentity }));
      using socket = udpSocket(node, version);
      assert.throws(() => socket.connect(address, 53), { code: 'EPERM' });
    }
    await goOn();
    const [fromOutside = 0, fromPod = 0] = await Promise.all(floods.map((each) => each.end()));
    assert.equal(receiver.receiveNow(), undefined);
    assert.equal(counted('client_not_allowed'), before + fromOutside + fromPod + REPLACEMENTS);
    // Who is let in gets there by the same programs.
    const generation = row.generation + 1;
    writeService(node.datapath.maps, { ...row, generation, backends, flags, sourceRanges: [ranges[family].all] });
    using allowed = udpSocket(world, version);
    allowed.connect(address, 53);
    allowed.send('now');
    assert.equal(receiver.receive(), 'now');
  });
}
