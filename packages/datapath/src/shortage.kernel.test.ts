// What becomes of connections towards a destination where the node's ports are all taken, or nearly.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Packet, packet, parsePacket } from '@sluice/net';
import { systemClock } from '@sluice/runtime';
import { seededRandom } from '../test/fuzz/random.ts';
import { createTestNode, dropsOf } from '../test/node.ts';
import { capture, inject } from '../test/wire.ts';
import { connectWorld } from '../test/world.ts';
import { type Connection, CtKind, CtState, DropReason, type Shortage, SnatPort, type Tuple } from './index.ts';

/** SNAT_LOOKS_MAX, SNAT_EASY_MAX and SNAT_EXHAUSTED_NS of bpf/lib/limits.h. */
const looksOfSearch = 512;
const easyMax = 8;
const exhaustedMs = 1000;
/** SNAT_NUMBERS: a round goes through those as well that are no port of the range. */
const searchesOfRound = Math.ceil(65_536 / looksOfSearch);
const step = 40_503;
const udp = 17;
const tunnelPort = 8472;
/** Of the asker, unless another is said. */
const ownPort = 40_000;

const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const node = createTestNode(1);
const world = connectWorld(node);
const [holder, asker] = [node.addPod(10, 1000), node.addPod(11, 1001)];
after(() => {
  world[Symbol.dispose]();
  node[Symbol.dispose]();
});
const { conntrack, shortages } = node.datapath.maps;

/** Each test has a destination of its own. */
let destinations = 5_000;

interface Destination {
  readonly family: Family;
  readonly port: number;
}

function newDestination(family: Family): Destination {
  destinations += 1;
  return { family, port: destinations };
}

const nobody = { address: undefined, port: 0 };

function row(more: Partial<Connection>): Connection {
  const counts = {
    packets: [1n, 0n],
    bytes: [64n, 0n],
    tcpFlags: [0, 0],
    flags: 0,
    told: 0,
    clientPort: 0,
    formerPort: 0,
  };
  const ids = { sourceIdentity: 1000, destinationIdentity: 2, backendId: 0, generation: 0 };
  const ends = { dnat: nobody, snat: nobody };
  const state = { state: CtState.Established, kind: CtKind.Connection };
  return { expiresNs: 0n, createdNs: 0n, ...counts, ...ids, ...ends, ...state, ...more };
}

/** The holder's connection that has this port of the node, and its alias. */
function held({ family, port }: Destination, number: number): [Tuple, Connection][] {
  const client = { address: holder.addresses[family], port: number };
  const seenAs = { address: world.nodeAddresses[family], port: number };
  const [source, destination] = [client.address, world.addresses[family]];
  const expiresNs = systemClock.monotonicNs() + 600_000_000_000n;
  return [
    [
      { source, sourcePort: number, destination, destinationPort: port, protocol: udp },
      row({ expiresNs, snat: seenAs }),
    ],
    [
      { source: destination, sourcePort: port, destination: seenAs.address, destinationPort: number, protocol: udp },
      row({ kind: CtKind.SnatAlias, snat: client }),
    ],
  ];
}

const { nodePortMin, nodePortMax } = node.configuration;
const numbers = Array.from({ length: SnatPort.Last - SnatPort.First + 1 }, (_, index) => SnatPort.First + index).filter(
  (number) => number < nodePortMin || number > nodePortMax,
);

/** All of the range but those that are left over. */
function take(destination: Destination, left: readonly number[] = []): Disposable {
  const rows = numbers.filter((number) => !left.includes(number)).flatMap((number) => held(destination, number));
  conntrack.updateBatch(rows);
  return { [Symbol.dispose]: () => void conntrack.deleteBatch(rows.map(([tuple]) => tuple)) };
}

function giveBack(destination: Destination, number: number): void {
  for (const [tuple] of held(destination, number)) assert.ok(conntrack.delete(tuple));
}

/** Datagrams of the asker, whose own port is one of the range. */
function ask(destination: Destination, ...sourcePorts: readonly number[]): void {
  const asking = sourcePorts.length === 0 ? [ownPort] : sourcePorts;
  inject(asker.namespace, 2, ...asking.map((port) => datagram(destination, port)));
}

function datagram({ family, port }: Destination, sourcePort: number): Uint8Array {
  const frame = packet().ethernet({ source: asker.mac, destination: node.configuration.hostMac });
  const ends = { source: asker.addresses[family], destination: world.addresses[family] };
  const ip = family === 'ipv4' ? frame.ipv4(ends) : frame.ipv6(ends);
  return ip.udp({ sourcePort, destinationPort: port }).payload('x');
}

/** What `explain` is told of a datagram of the asker, behind its pod's program: its port, or why it has none. */
function foresee(destination: Destination, sourcePort = ownPort): { port?: number; reason?: number } {
  const question = { program: 'netdev_to_network', ifindex: world.ifindex } as const;
  const bytes = datagram(destination, sourcePort);
  const answer = node.namespace.run(() => node.datapath.dryRun().packet({ ...question, bytes }));
  if (answer.explanation?.reason) return { reason: answer.explanation.reason };
  return { port: parsePacket(answer.bytes).udp?.sourcePort ?? 0 };
}

/** SNAT_STEP: a search looks at the ports of so many numbers in a row. */
function isAmongNext(port: number, shortage: Shortage | undefined): boolean {
  const looks = Array.from({ length: looksOfSearch }, (_, look) => (((shortage?.looks ?? 0) + look) * step) % 65_536);
  return looks.includes(port);
}

/** Sends until one gets through, and says how many it took and by which port of the node. */
function askUntilAnswered(destination: Destination, most: number): { asked: number; port: number } | undefined {
  using seen = capture(world, world.wanIfindex);
  for (let asked = 1; asked <= most; asked += 1) {
    ask(destination);
    const [through] = passed(seen.frames(), destination);
    if (through?.udp) return { asked, port: through.udp.sourcePort };
  }
  return undefined;
}

function passed(frames: readonly Uint8Array[], { port }: Destination): Packet[] {
  return frames.map((bytes) => parsePacket(bytes)).filter((each) => each.udp?.destinationPort === port);
}

function shortageOf(destination: Destination): Shortage | undefined {
  return shortages.lookup(shortageKey(destination));
}

function shortageKey({ family, port }: Destination): Tuple {
  return {
    source: world.addresses[family],
    sourcePort: port,
    destination: world.nodeAddresses[family],
    destinationPort: 0,
    protocol: udp,
  };
}

function isExhausted(destination: Destination): boolean {
  return (shortageOf(destination)?.exhaustedUntilNs ?? 0n) > systemClock.monotonicNs();
}

/** For longer than any test takes. */
function exhaust(destination: Destination): void {
  ask(destination, ...Array.from({ length: searchesOfRound + 1 }, () => ownPort));
  assert.notEqual(shortageOf(destination)?.exhaustedUntilNs ?? 0n, 0n);
  setExhaustedUntil(destination, systemClock.monotonicNs() + 600_000_000_000n);
}

/** As if SNAT_EXHAUSTED_NS had passed. */
function endExhaustion(destination: Destination): void {
  setExhaustedUntil(destination, 1n);
}

function setExhaustedUntil(destination: Destination, exhaustedUntilNs: bigint): void {
  shortages.update(shortageKey(destination), { ...(shortageOf(destination) ?? assert.fail()), exhaustedUntilNs });
}

const refused = () => dropsOf(node).nat_exhausted ?? 0;
const looksSince = (before: Shortage | undefined, now: Shortage | undefined) =>
  ((now?.looks ?? 0) - (before?.looks ?? 0)) >>> 0;

for (const family of families) {
  test(`for thousands that are refused one round of searches a second is made, and each is counted (${family})`, () => {
    const destination = newDestination(family);
    using _taken = take(destination);
    const before = refused();
    ask(destination);
    const begun = shortageOf(destination);
    const beganNs = systemClock.monotonicNs();
    const many = 3_000;
    ask(destination, ...Array.from({ length: many - 1 }, (_, index) => ownPort + (index % 1_000)));
    const seconds = Number(systemClock.monotonicNs() - beganNs) / 1e9;
    assert.equal(refused() - before, many);
    const searches = looksSince(begun, shortageOf(destination)) / looksOfSearch;
    const rounds = 1 + Math.floor((seconds * 1000) / exhaustedMs);
    assert.ok(searches >= searchesOfRound, `${searches} searches: no whole round`);
    assert.ok(searches <= rounds * searchesOfRound, `${searches} searches in ${seconds} s`);
  });

  test(`a dry run foresees that no port is left, and which one is, and takes none (${family})`, () => {
    const destination = newDestination(family);
    using _taken = take(destination);
    assert.equal(foresee(destination).reason, DropReason.NatExhausted);
    assert.equal(shortageOf(destination), undefined);
    ask(destination);
    const shortage = shortageOf(destination);
    assert.equal(foresee(destination).reason, DropReason.NatExhausted);
    // Where the next search looks first.
    const next = numbers.find((number) => isAmongNext(number, shortage)) ?? 0;
    giveBack(destination, next);
    for (let asked = 0; asked < 2; asked += 1) assert.deepEqual(foresee(destination), { port: next });
    assert.deepEqual(shortageOf(destination), shortage);
    assert.equal(askUntilAnswered(destination, 1)?.port, next);
  });

  test(`a dry run foresees that nobody looks for a port, and that one gets the very port that was given back (${family})`, () => {
    const destination = newDestination(family);
    using _taken = take(destination);
    exhaust(destination);
    giveBack(destination, 34_001);
    assert.equal(foresee(destination).reason, DropReason.NatExhausted);
    assert.deepEqual(foresee(destination, 34_001), { port: 34_001 });
  });

  test(`the last port that is left is found before anybody is refused for a while (${family})`, () => {
    const destination = newDestination(family);
    const last = 50_123;
    using _taken = take(destination, [last]);
    const found = askUntilAnswered(destination, searchesOfRound + 1);
    assert.equal(found?.port, last);
    assert.equal(isExhausted(destination), false);
  });

  test(`a port that is given back is used again within a second and a round (${family})`, () => {
    const destination = newDestination(family);
    using _taken = take(destination);
    exhaust(destination);
    giveBack(destination, 33_000);
    endExhaustion(destination);
    const found = askUntilAnswered(destination, searchesOfRound);
    assert.equal(found?.port, 33_000);
  });

  test(`who asks for the very port that was given back has it at once (${family})`, () => {
    const destination = newDestination(family);
    using _taken = take(destination);
    exhaust(destination);
    giveBack(destination, 34_000);
    using seen = capture(world, world.wanIfindex);
    ask(destination, 34_000);
    assert.deepEqual(
      passed(seen.frames(), destination).map((each) => each.udp?.sourcePort),
      [34_000],
    );
  });

  test(`other destinations are served meanwhile, and nothing is remembered of them (${family})`, () => {
    const [full, free] = [newDestination(family), newDestination(family)];
    using _taken = take(full);
    exhaust(full);
    const others = families.map((each) => (each === family ? free : { family: each, port: full.port }));
    for (const destination of others) {
      assert.deepEqual(askUntilAnswered(destination, 1), { asked: 1, port: ownPort });
      assert.equal(shortageOf(destination), undefined);
    }
    assert.ok(isExhausted(full));
  });

  test(`nobody is refused before the last port is taken (${family})`, () => {
    const destination = newDestination(family);
    // That none of them is among the looks of a search is a chance of 1 to 10^8. The tunnel's socket has its port.
    const random = seededRandom(destination.port);
    const left = numbers.filter((number) => random.oneIn(25) && number !== tunnelPort);
    using _taken = take(destination, left);
    const before = refused();
    const asking = numbers.filter((number) => !left.includes(number)).slice(0, left.length);
    using seen = capture(world, world.wanIfindex);
    const got: number[] = [];
    while (asking.length > 0) {
      // No more than a capture holds.
      ask(destination, ...asking.splice(0, 64));
      got.push(...passed(seen.frames(), destination).map((each) => each.udp?.sourcePort ?? 0));
    }
    assert.equal(refused() - before, 0);
    assert.deepEqual(new Set(got), new Set(left));
  });

  test(`a shortage that is over leaves nothing behind (${family})`, () => {
    const destination = newDestination(family);
    const taken = take(destination);
    exhaust(destination);
    taken[Symbol.dispose]();
    // Those of the askers are somebody's still, so that they must search.
    const asking = Array.from({ length: easyMax }, (_, index) => ownPort + index);
    const rows = asking.flatMap((number) => held(destination, number));
    conntrack.updateBatch(rows);
    endExhaustion(destination);
    using seen = capture(world, world.wanIfindex);
    ask(destination, ...asking);
    assert.equal(passed(seen.frames(), destination).length, asking.length);
    assert.equal(shortageOf(destination), undefined);
    conntrack.deleteBatch(rows.map(([tuple]) => tuple));
  });
}

test('without a shortage ports are spread over the range', () => {
  const found = Array.from({ length: 16 }, () => {
    const destination = newDestination('ipv4');
    conntrack.updateBatch(held(destination, ownPort));
    return askUntilAnswered(destination, 1)?.port ?? 0;
  });
  assert.ok(
    found.every((port) => numbers.includes(port) && port !== ownPort),
    `${found}`,
  );
  assert.equal(new Set(found).size, found.length);
  // All of 16 in an eighth of the range is a chance of 1 to 10^12.
  assert.ok(Math.max(...found) - Math.min(...found) > numbers.length / 8, `${found}`);
});
