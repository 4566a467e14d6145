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
const restUnits = 16;
const unitsMax = 255;
const marks = rests.lookup(0)?.ended.length ?? assert.fail();

const [one, other] = [node.addPod(10, 1000), node.addPod(11, 1001)];

interface Ends {
  readonly version: 4 | 6;
  /** Of the server. */
  readonly port: number;
}

interface End {
  /** Default: the server, which is in TIME_WAIT then. */
  readonly first?: 'server' | 'reset';
  /** The connection stays in the tables for a while, as it does; default: it is gone at once. */
  readonly isKept?: boolean;
}

/** Says whom the server has seen. */
function converse(pod: TestPod, { version, port }: Ends, sourcePort: number, { first = 'server', isKept }: End = {}) {
  const family = version === 4 ? 'ipv4' : 'ipv6';
  using server = tcpServer(world, world.addresses[family], port);
  const client = tcpSocket(pod, version);
  bind(client.fd, internetAddress(addressToWire(pod.addresses[family]), sourcePort));
  client.connect(world.addresses[family], port);
  const accepted = server.accept();
  const seen = accepted?.peer() ?? '';
  if (first === 'reset') client.send('never read');
  accepted?.[Symbol.dispose]();
  if (first === 'server') assert.equal(client.receive(), '');
  client[Symbol.dispose]();
  if (!isKept) forget();
  return seen;
}

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
    assert.equal(converse(one, ends, 40_007, { first: 'reset' }), seenAs(40_007));
    assert.equal(converse(other, ends, 40_007), seenAs(40_007));
  });

  test(`who was given another port keeps it when he begins again (${family})`, () => {
    const ends = { version, port: 8_008 };
    assert.equal(converse(one, ends, 40_008), seenAs(40_008));
    const given = converse(other, ends, 40_008, { first: 'reset', isKept: true });
    assert.notEqual(given, seenAs(40_008));
    assert.equal(converse(other, ends, 40_008), given);
  });

  test(`no two ports towards one destination share a mark (${family})`, () => {
    const ends = { version, port: 8_009 };
    rests.update(0, { ended: new Uint8Array(marks), clients: new Uint8Array(marks) });
    // By chance alone, one time in a hundred none of so many would.
    const ports = Array.from({ length: 800 }, (_, index) => 41_000 + 13 * index);
    for (const port of ports) assert.equal(converse(one, ends, port), seenAs(port));
    assert.equal(rests.lookup(0)?.ended.filter((then) => then !== 0).length, ports.length);
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
