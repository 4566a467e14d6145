// Which slot a client from outside gets of a Maglev table; how tables are made is the load balancer's.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Address, addressToWire, packet, parseAddress } from '@sluice/net';
import { type Bench, configuration, createBench, gateway, pod } from '../test/programs.ts';
import { TCP, type TestService, UDP, writeService } from '../test/services.ts';
import { FrontendFlag } from './index.ts';

const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const balancer = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;
const other = { ipv4: parseAddress('203.0.113.6'), ipv6: parseAddress('2001:db8:113::6') } as const;
const BACKENDS = 5;
const SIZE = 4093;

const backends = {
  ipv4: Array.from({ length: BACKENDS }, (_, index) => parseAddress(`10.244.1.${20 + index}`)),
  ipv6: Array.from({ length: BACKENDS }, (_, index) => parseAddress(`fd00:10:244:1::${20 + index}`)),
} as const;

/** A node of its own, on which backends have other ids than on the next one. */
function createNode(): Bench {
  const node = createBench();
  for (const [index, address] of Object.values(backends).flat().entries()) {
    const row = { id: 100 + index, ifindex: 50 + index, identity: 1000, flags: 0, mac: pod.mac, nodeMac: gateway.mac };
    node.maps.endpoints.update(address, row);
  }
  return node;
}

const [one, two] = [createNode(), createNode()];
after(() => {
  for (const node of [one, two]) node[Symbol.dispose]();
});

/** Any table will do: entries one after the other lead to slots that have no pattern. */
function table(slots = BACKENDS): Uint16Array {
  return Uint16Array.from({ length: SIZE }, (_, entry) => (Math.imul(entry + 1, 0x9e37_79b1) >>> 7) % slots);
}

interface Serving extends Partial<TestService> {
  readonly family: Family;
}

let numbers = 0;

function serve(node: Bench, { family, ...more }: Serving): number {
  numbers += 1;
  const port = more.port ?? 20_000 + numbers;
  const firstId = node === one ? 1 : 500 * numbers;
  writeService(node.maps, {
    ...{ id: numbers, generation: numbers, address: balancer[family], protocol: TCP, flags: FrontendFlag.External },
    backends: backends[family].map((address, index) => ({ id: firstId + index, address, port: 8080 })),
    table: table(),
    ...more,
    port,
  });
  return port;
}

interface Client {
  readonly address?: string;
  readonly port: number;
}

/** Nobody has been here. */
function forget({ maps }: Bench): void {
  maps.conntrackNew.deleteBatch([...maps.conntrackNew.entries()].map(([tuple]) => tuple));
}

/** To which backend the first packet of a new connection goes. */
function chosen(...[node, family, client, target]: Parameters<typeof asked>): number {
  forget(node);
  return asked(node, family, client, target);
}

function asked(node: Bench, family: Family, client: Client, target: { port: number; address?: Address; udp?: true }) {
  const source = client.address ?? (family === 'ipv4' ? '192.0.2.77' : '2001:db8::77');
  const destination = target.address ?? balancer[family];
  const frame = packet().ethernet({ source: pod.mac, destination: gateway.mac });
  const ip = family === 'ipv4' ? frame.ipv4({ source, destination }) : frame.ipv6({ source, destination });
  const ports = { sourcePort: client.port, destinationPort: target.port };
  const bytes = target.udp ? ip.udp(ports).payload('x') : ip.tcp({ ...ports, flags: 'S' }).payload();
  const { action, packet: after, drops } = node.run('netdev_from_network', bytes);
  assert.deepEqual([action, drops], ['redirect', []]);
  const backend = backends[family].findIndex((address) => String(address) === after[family]?.destination);
  assert.ok(backend >= 0, `${after[family]?.destination} is a backend`);
  return backend;
}

/** By which entry a client finds its backend: the kernel's jhash2, written apart from the programs. */
function entryOf(address: Address, ports: { readonly client: number; readonly service: number }, protocol = TCP) {
  const bytes = addressToWire(address);
  const mapped = Buffer.from(bytes.length === 4 ? [...Array<number>(10).fill(0), 255, 255, ...bytes] : bytes);
  const words = [0, 4, 8, 12].map((at) => mapped.readUInt32LE(at));
  const bothPorts = Buffer.alloc(4);
  bothPorts.writeUInt16BE(ports.client, 0);
  bothPorts.writeUInt16BE(ports.service, 2);
  const seed = bytes.length === 4 ? configuration.maglevSeedIpv4 : configuration.maglevSeedIpv6;
  return jhash2([...words, bothPorts.readUInt32LE(0), protocol], seed) % SIZE;
}

/** Of six words. */
function jhash2(words: readonly number[], seed: number): number {
  const state = new Uint32Array(3).fill(0xdeadbeef + 4 * words.length + seed);
  const at = (index: number) => state[index % 3] ?? 0;
  const put = (index: number, word: number) => {
    state[index % 3] = word;
  };
  const rotated = (word: number, bits: number) => (word << bits) | (word >>> (32 - bits));
  for (const index of [0, 1, 2]) put(index, at(index) + (words[index] ?? 0));
  for (const [index, bits] of [4, 6, 8, 16, 19, 4].entries()) {
    put(index, (at(index) - at(index + 2)) ^ rotated(at(index + 2), bits));
    put(index + 2, at(index + 2) + at(index + 1));
  }
  for (const index of [0, 1, 2]) put(index, at(index) + (words[index + 3] ?? 0));
  for (const [step, bits] of [14, 11, 25, 16, 4, 14, 24].entries()) {
    const index = step + 2;
    put(index, (at(index) ^ at(index + 2)) - rotated(at(index + 2), bits));
  }
  return at(2);
}

const clientAddress = { ipv4: parseAddress('192.0.2.77'), ipv6: parseAddress('2001:db8::77') } as const;
const ports = Array.from({ length: 200 }, (_, index) => 40_000 + index);

for (const family of families) {
  test(`the table's entry for a client's connection says who serves it (${family})`, () => {
    const slots = table();
    const port = serve(one, { family });
    const datagrams = serve(one, { family, protocol: UDP });
    const seen = new Set<number>();
    for (const client of ports) {
      const backend = chosen(one, family, { port: client }, { port });
      assert.equal(backend, slots[entryOf(clientAddress[family], { client, service: port })], `from port ${client}`);
      seen.add(backend);
    }
    assert.equal(seen.size, BACKENDS);
    for (const client of ports.slice(0, 20)) {
      const entry = entryOf(clientAddress[family], { client, service: datagrams }, UDP);
      assert.equal(chosen(one, family, { port: client }, { port: datagrams, udp: true }), slots[entry]);
    }
  });

  test(`a client's connection has the same backend on each node, and at each of the service's addresses (${family})`, () => {
    const port = serve(one, { family });
    serve(one, { family, port, address: other[family] });
    serve(two, { family, port });
    for (const client of ports) {
      const places = [
        chosen(one, family, { port: client }, { port }),
        chosen(one, family, { port: client }, { port, address: other[family] }),
        chosen(two, family, { port: client }, { port }),
      ];
      assert.equal(new Set(places).size, 1, `from port ${client}: ${places}`);
    }
  });

  test(`with affinity it is the client alone, at each of the service's ports, and others are spread (${family})`, () => {
    const affinity = { family, affinitySeconds: 60, affinityId: 0 };
    const [port, second] = [serve(one, affinity), serve(two, affinity)];
    const first = chosen(one, family, { port: 50_000 }, { port });
    // On the other node nobody remembers the client.
    assert.equal(chosen(two, family, { port: 50_001 }, { port: second }), first);
    const clients = Array.from({ length: 60 }, (_, index) =>
      family === 'ipv4' ? `198.51.100.${index + 1}` : `2001:db8:9::${index + 1}`,
    );
    const seen = clients.map((address) => chosen(one, family, { address, port: 50_000 }, { port }));
    assert.equal(new Set(seen).size, BACKENDS);
    assert.deepEqual(
      clients.map((address) => chosen(two, family, { address, port: 50_009 }, { port: second })),
      seen,
    );
  });

  test(`packets meet the old table or the new one, and nothing between (${family})`, () => {
    const service = { family, id: 900_000, port: 29_999 };
    const [old, next] = [table(), table().map((slot) => (slot + 1) % BACKENDS)];
    const choices = (client: number) => {
      const entry = entryOf(clientAddress[family], { client, service: service.port });
      return [old[entry], next[entry]];
    };
    serve(one, { ...service, generation: 1, table: old });
    const present = one.maps.frontends.lookup({
      address: balancer[family],
      port: service.port,
      protocol: TCP,
      scope: 0,
    });
    assert.ok(present);
    const ask = (client: number) => chosen(one, family, { port: client }, { port: service.port });
    for (const client of ports.slice(0, 50)) assert.equal(ask(client), choices(client)[0]);
    serve(one, { ...service, generation: 2, table: next });
    const key = { address: balancer[family], port: service.port, protocol: TCP, scope: 0 };
    const flipped = one.maps.frontends.lookup(key) ?? assert.fail('no frontend');
    // As it is between the writes of a change: all of the new generation is there, and the frontend is the old one.
    one.maps.frontends.update(key, present);
    for (const client of ports.slice(50, 100)) assert.equal(ask(client), choices(client)[0]);
    one.maps.frontends.update(key, flipped);
    for (const client of ports.slice(100, 150)) assert.equal(ask(client), choices(client)[1]);
    const chunks = [...one.maps.maglev.entries()]
      .map(([each]) => each)
      .filter(({ serviceId }) => serviceId === service.id);
    one.maps.maglev.deleteBatch(chunks.filter(({ generation }) => generation === 1));
    for (const client of ports.slice(150)) assert.equal(ask(client), choices(client)[1]);
  });

  test(`a connection that is known keeps its backend when the table changes, a new one does not (${family})`, () => {
    const service = { family, id: 910_000, port: 29_998 };
    forget(one);
    serve(one, { ...service, generation: 1 });
    const before = ports.map((client) => asked(one, family, { port: client }, { port: service.port }));
    serve(one, { ...service, generation: 2, table: table().map((slot) => (slot + 1) % BACKENDS) });
    assert.deepEqual(
      ports.map((client) => asked(one, family, { port: client }, { port: service.port })),
      before,
    );
    forget(one);
    assert.deepEqual(
      ports.map((client) => asked(one, family, { port: client }, { port: service.port })),
      before.map((backend) => (backend + 1) % BACKENDS),
    );
  });

  test(`a table of which chunks are missing refuses nobody (${family})`, () => {
    const port = serve(one, { family });
    const { serviceId = 0 } =
      one.maps.frontends.lookup({ address: balancer[family], port, protocol: TCP, scope: 0 }) ?? {};
    const chunks = [...one.maps.maglev.entries()].map(([each]) => each).filter((each) => each.serviceId === serviceId);
    assert.equal(one.maps.maglev.deleteBatch(chunks), 3);
    const seen = new Set(ports.map((client) => chosen(one, family, { port: client }, { port })));
    assert.equal(seen.size, BACKENDS);
  });

  test(`a pod of this node is given any backend, whatever the table says (${family})`, () => {
    const port = serve(one, { family, table: table(1) });
    const seen = new Set<string | undefined>();
    for (const sourcePort of ports) {
      const frame = packet().ethernet({ source: pod.mac, destination: gateway.mac });
      const to = { source: pod[family], destination: balancer[family] };
      const ip = family === 'ipv4' ? frame.ipv4(to) : frame.ipv6(to);
      const { packet: after } = one.run(
        'pod_from_pod',
        ip.tcp({ sourcePort, destinationPort: port, flags: 'S' }).payload(),
      );
      seen.add(after[family]?.destination);
    }
    assert.equal(seen.size, BACKENDS);
  });
}
