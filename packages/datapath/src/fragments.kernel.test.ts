// Fragments in every order: through services, into the world and back, and those that must wait too long.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Address, type Mac, packet, parseAddress } from '@sluice/net';
import { dropsOf } from '../test/node.ts';
import { UDP, writeService } from '../test/services.ts';
import { udpServer, udpSocket } from '../test/sockets.ts';
import { createTwoNodes } from '../test/two-nodes.ts';
import { capture, inject } from '../test/wire.ts';
import { FragmentFlag, heldFragmentsMap } from './index.ts';

const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const scene = createTwoNodes();
after(() => scene[Symbol.dispose]());
const { node, world } = scene;
const { client, server, far } = scene.pods;

const PART = 1000;
const parts = 7;
const text = 'abcdefghij'.repeat((PART * parts) / 10).slice(8);

let identifications = 0;

/** A datagram in fragments, each with its place; sum and length are over the whole of it. */
function fragmentsOf(family: Family, from: End, to: End): Uint8Array[] {
  identifications += 1;
  const frame = packet().ethernet({ source: from.mac, destination: to.mac });
  const ip = { source: from.address, destination: to.address };
  const whole = (family === 'ipv4' ? frame.ipv4(ip) : frame.ipv6(ip))
    .udp({ sourcePort: from.port, destinationPort: to.port })
    .payload(text);
  const datagram = whole.slice(family === 'ipv4' ? 34 : 54);
  return Array.from({ length: parts }, (_, part) => {
    const offset = part * PART;
    const more = part < parts - 1;
    const bytes = datagram.slice(offset, offset + PART);
    if (family === 'ipv4') {
      const fragment = { fragmentOffset: offset, moreFragments: more, identification: identifications, protocol: UDP };
      return frame.ipv4({ ...ip, ...fragment }).payload(bytes);
    }
    const extension = { kind: 'fragment', offset, more, identification: identifications } as const;
    return frame.ipv6({ ...ip, extensions: [extension], protocol: UDP }).payload(bytes);
  });
}

interface End {
  readonly mac: Mac;
  readonly address: Address;
  readonly port: number;
}

let services = 0;

function service(family: Family, backend: { readonly address: Address; readonly port: number }): Address {
  services += 1;
  const address = parseAddress(family === 'ipv4' ? `10.96.2.${services}` : `fd00:10:96::2${services}`);
  writeService(node.datapath.maps, {
    id: services,
    address,
    port: 80,
    protocol: UDP,
    backends: [{ id: services, ...backend }],
  });
  return address;
}

function clientEnd(family: Family, port: number): End {
  return { mac: client.mac, address: client.addresses[family], port };
}

const orders = {
  'the last one first': (all: readonly Uint8Array[]) => all.toReversed(),
  'the first one in the middle': (all: readonly Uint8Array[]) => [...all.slice(3), ...all.slice(0, 3)],
  'each twice, backwards': (all: readonly Uint8Array[]) => all.flatMap((part) => [part, part]).reverse(),
} as const;

let ports = 42_000;

for (const family of families) {
  for (const [order, arrange] of Object.entries(orders)) {
    for (const [where, target] of [
      ['a pod of this node', server],
      ['a pod of another node', far],
    ] as const) {
      test(`a datagram in fragments, ${order}, reaches ${where} through a service (${family})`, () => {
        const to = pathTo(family, service(family, { address: target.addresses[family], port: 8080 }));
        ports += 1;
        using receiver = udpServer(target, target.addresses[family], 8080);
        for (const part of arrange(fragmentsOf(family, clientEnd(family, ports), to)))
          inject(client.namespace, 2, part);
        assert.equal(receiver.receiveFrom()?.text, text);
      });
    }

    test(`a datagram in fragments, ${order}, gets into the world from the node's address (${family})`, () => {
      ports += 1;
      using receiver = udpServer(world, world.addresses[family], 53);
      const to = { ...pathTo(family, world.addresses[family]), port: 53 };
      for (const part of arrange(fragmentsOf(family, clientEnd(family, ports), to))) inject(client.namespace, 2, part);
      const received = receiver.receiveFrom();
      assert.equal(received?.text, text);
      assert.ok(received?.from.includes(world.nodeAddresses[family]), received?.from);
    });

    test(`an answer of the world in fragments, ${order}, reaches the pod that asked (${family})`, () => {
      ports += 1;
      using asker = udpSocket(client, family === 'ipv4' ? 4 : 6);
      using receiver = udpServer(world, world.addresses[family], ports);
      asker.connect(world.addresses[family], ports);
      asker.send('question');
      const port = Number(receiver.receiveFrom()?.from.split(':').at(-1));
      const from = { mac: world.mac, address: world.addresses[family], port: ports };
      const to = { mac: world.nodeMac, address: world.nodeAddresses[family], port };
      for (const part of arrange(fragmentsOf(family, from, to))) inject(world, world.wanIfindex, part);
      assert.equal(asker.receive(), text);
    });

    test(`fragments of the node's own, ${order}, are left to its stack (${family})`, () => {
      ports += 1;
      using receiver = udpServer(node, world.nodeAddresses[family], ports);
      const from = { mac: world.mac, address: world.addresses[family], port: 53 };
      const to = { mac: world.nodeMac, address: world.nodeAddresses[family], port: ports };
      for (const part of arrange(fragmentsOf(family, from, to))) inject(world, world.wanIfindex, part);
      assert.equal(receiver.receiveFrom()?.text, text);
    });
  }
}

test('fragments whose first never comes give way to later ones, and are counted', () => {
  const before = dropsOf(node).fragment_unsupported ?? 0;
  const lost = heldFragmentsMap.maxEntries + 10;
  for (let datagram = 0; datagram < lost; datagram += 1) {
    const [, second] = fragmentsOf('ipv4', clientEnd('ipv4', 1), pathTo('ipv4', far.addresses.ipv4));
    if (second) inject(client.namespace, 2, second);
  }
  assert.ok((dropsOf(node).fragment_unsupported ?? 0) - before >= 10);
});

test('an identification that comes again after its time belongs to a new datagram', () => {
  const { fragments } = node.datapath.maps;
  const to = pathTo('ipv4', service('ipv4', { address: server.addresses.ipv4, port: 8080 }));
  using receiver = udpServer(server, server.addresses.ipv4, 8080);
  const parts = fragmentsOf('ipv4', clientEnd('ipv4', 43_000), to);
  const key = { source: client.addresses.ipv4, destination: to.address, id: identifications, protocol: UDP };
  fragments.update(key, { source: 1, destination: 2, protocol: UDP, flags: FragmentFlag.Known, knownNs: 1n });
  for (const part of parts.toReversed()) inject(client.namespace, 2, part);
  assert.equal(receiver.receiveFrom()?.text, text);
});

test('a fragment that nobody waits for is seen by nobody', () => {
  using seen = capture(server.namespace, 2);
  const [, second] = fragmentsOf('ipv4', clientEnd('ipv4', 1), pathTo('ipv4', server.addresses.ipv4));
  if (second) inject(client.namespace, 2, second);
  assert.deepEqual(seen.frames(), []);
});

function pathTo(_family: Family, address: Address): End {
  return { mac: node.configuration.hostMac, address, port: 80 };
}
