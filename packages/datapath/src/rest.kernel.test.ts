// A port from which a connection ended is not another client's before the server has forgotten it.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { bind, internetAddress } from '@sluice/ffi';
import { addressToWire, formatAddressPort } from '@sluice/net';
import { createTestNode, type TestPod } from '../test/node.ts';
import { tcpServer, tcpSocket } from '../test/sockets.ts';
import { connectWorld } from '../test/world.ts';

const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;

const node = createTestNode(1);
const world = connectWorld(node);
after(() => {
  world[Symbol.dispose]();
  node[Symbol.dispose]();
});
const { conntrack, conntrackNew, rests } = node.datapath.maps;
/** Of 2^32 ns, as REST_UNITS and REST_UNITS_MAX of bpf/lib/rest.h. */
const restUnits = 15;
const unitsMax = 255;

const [one, other] = [node.addPod(10, 1000), node.addPod(11, 1001)];

interface Ends {
  readonly version: 4 | 6;
  /** Of the server. */
  readonly port: number;
}

/** Opened and ended by the server first, which is in TIME_WAIT then; says whom the server has seen. */
function converse(pod: TestPod, { version, port }: Ends, sourcePort: number, endsFirst: 'server' | 'reset' = 'server') {
  const family = version === 4 ? 'ipv4' : 'ipv6';
  using server = tcpServer(world, world.addresses[family], port);
  const client = tcpSocket(pod, version);
  bind(client.fd, internetAddress(addressToWire(pod.addresses[family]), sourcePort));
  client.connect(world.addresses[family], port);
  const accepted = server.accept();
  const seen = accepted?.peer() ?? '';
  if (endsFirst === 'reset') client.send('never read');
  accepted?.[Symbol.dispose]();
  if (endsFirst === 'server') assert.equal(client.receive(), '');
  client[Symbol.dispose]();
  forget();
  return seen;
}

/** What has ended stays for some seconds; here it is gone at once. */
function forget(): void {
  for (const table of [conntrack, conntrackNew]) table.deleteBatch([...table.entries()].map(([tuple]) => tuple));
}

/** As if all that is at rest had ended so much earlier. */
function age(units: number): void {
  const { ended, clients } = rests.lookup(0) ?? assert.fail();
  const older = ended.map((then) => (then === 0 ? 0 : ((then - 1 - units + unitsMax) % unitsMax) + 1));
  rests.update(0, { ended: older, clients });
}

/** A port whose mark somebody else has just made, whichever it is. */
function restAll(): void {
  const { clients } = rests.lookup(0) ?? assert.fail();
  const now = Number((process.hrtime.bigint() >> 32n) % BigInt(unitsMax)) + 1;
  rests.update(0, { ended: new Uint8Array(clients.length).fill(now), clients: clients.map((client) => client ^ 1) });
}

for (const [version, family] of families) {
  const seenAs = (port: number) => formatAddressPort(world.nodeAddresses[family], port);

  test(`another client does not get the port of a connection that has just ended, and reaches the server (${family})`, () => {
    const ends = { version, port: 8_001 };
    assert.equal(converse(one, ends, 40_001), seenAs(40_001));
    assert.notEqual(converse(other, ends, 40_001), seenAs(40_001));
  });

  test(`the client who had it may have it again (${family})`, () => {
    const ends = { version, port: 8_002 };
    assert.equal(converse(one, ends, 40_002), seenAs(40_002));
    assert.equal(converse(one, ends, 40_002), seenAs(40_002));
  });

  test(`nobody waits for a connection that was reset (${family})`, () => {
    const ends = { version, port: 8_007 };
    assert.equal(converse(one, ends, 40_007, 'reset'), seenAs(40_007));
    assert.equal(converse(other, ends, 40_007), seenAs(40_007));
  });

  test(`after a minute it is anybody's (${family})`, () => {
    const ends = { version, port: 8_003 };
    assert.equal(converse(one, ends, 40_003), seenAs(40_003));
    age(restUnits);
    assert.equal(converse(other, ends, 40_003), seenAs(40_003));
  });

  test(`when all ports rest, whoever needs one gets it all the same (${family})`, () => {
    const ends = { version, port: 8_004 };
    restAll();
    assert.match(converse(other, ends, 40_004), /:\d+$/);
    age(restUnits);
  });

  test(`towards another server the port is free (${family})`, () => {
    assert.equal(converse(one, { version, port: 8_005 }, 40_005), seenAs(40_005));
    assert.equal(converse(other, { version, port: 8_006 }, 40_005), seenAs(40_005));
  });
}
