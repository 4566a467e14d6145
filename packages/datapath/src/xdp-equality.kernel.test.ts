// What XDP makes of a packet is what TC and the tunnel's device make of it, to the byte; or it lets it pass untouched.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Packet, type PacketBuilder, packet, parsePacket } from '@sluice/net';
import { createAcceleratedPair, textOf } from '../test/accelerated-pair.ts';
import { type Random, seededRandom } from '../test/fuzz/random.ts';
import { TCP, UDP } from '../test/services.ts';
import { capture, inject } from '../test/wire.ts';
import { XdpAction } from '../test/xdp.ts';

const PACKETS = 120;
/** What the cable takes. */
const FRAME_MAX = 1514;
const protocolNames = new Map([
  [TCP, 'TCP'],
  [UDP, 'UDP'],
]);

const pair = createAcceleratedPair();
const { xdp, world, other } = pair;
after(() => pair[Symbol.dispose]());

/** Other packets for each connection, the same ones in each run. */
let seed = 0;

interface Drawn {
  readonly frame: Uint8Array;
  /** Stands in the payload. */
  readonly token: string;
  /** TC may not see it: it would end the connection. */
  readonly ends: boolean;
  readonly isSound: boolean;
}

/** A packet of the same connection as the sample, which is like it in nothing else. */
function drawPacket(builder: PacketBuilder, sample: Packet, random: Random, index: number): Drawn {
  const token = `token${index}.`;
  const odd = (choice: boolean) => random.oneIn(12) && choice;
  const hop = random.pick([64, 64, 255, 2, 1]);
  const tos = random.pick([0, 0, 1, 2, 3, 0xb8, 0xff]);
  const isWrong = random.oneIn(8);
  const wrong = isWrong ? { checksum: random.below(65_536) } : {};
  const { ipv4, ipv6, tcp, udp } = sample;
  const network = ipv4
    ? builder.ipv4({
        ...{ source: ipv4.source, destination: ipv4.destination, ttl: hop, typeOfService: tos },
        ...{ dontFragment: random.oneIn(2), identification: random.below(65_536) },
        ...(odd(true) && { options: Uint8Array.of(1, 1, 1, 1) }),
        ...(odd(true) && { moreFragments: true }),
      })
    : builder.ipv6({
        ...{ source: ipv6?.source ?? '', destination: ipv6?.destination ?? '', hopLimit: hop, trafficClass: tos },
        flowLabel: random.below(1 << 20),
        ...(odd(true) && { extensions: [{ kind: 'destinationOptions', data: new Uint8Array(6) }] }),
      });
  const flags = random.pick(['A', 'A', 'PA', 'PA', 'AEW', 'FA', 'RA', 'S', 'UA', 'R']);
  const filling = 'x'.repeat(random.pick([0, 1, 2, 57, 500, 1377, 1400, 1500]));
  const transport = tcp
    ? network.tcp({
        ...{ sourcePort: tcp.sourcePort, destinationPort: tcp.destinationPort, flags },
        ...{ sequence: random.below(2 ** 31), acknowledgement: random.below(2 ** 31), ...wrong },
        ...(random.oneIn(2) && { options: new Uint8Array(12).fill(1) }),
      })
    : network.udp({
        ...{ sourcePort: udp?.sourcePort ?? 0, destinationPort: udp?.destinationPort ?? 0, ...wrong },
        ...(ipv4 !== undefined && random.oneIn(6) && { checksum: 0 }),
      });
  const frame = transport.payload(token + filling);
  const padding = random.oneIn(6) ? random.below(8) : 0;
  return {
    frame: Uint8Array.from([...frame, ...new Uint8Array(padding).fill(random.below(256))]),
    token,
    ends: tcp !== undefined && /[FRSU]/.test(flags),
    isSound: !isWrong,
  };
}

/** First without XDP, by the real devices; `undefined`: nothing came. */
function sentByTc(place: typeof world | typeof other, ifindexes: { from: number; to: number }, drawn: Drawn) {
  const target = place === world ? other : world;
  using seen = capture(target.namespace, ifindexes.to);
  xdp.set(false);
  inject(place.namespace, ifindexes.from, drawn.frame);
  for (let attempt = 0; attempt < 5; attempt += 1) {
    const found = seen.frames().find((frame) => textOf(frame).includes(drawn.token));
    if (found) return found;
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
  }
  return undefined;
}

function sentByXdp(device: string, frame: Uint8Array): Uint8Array | undefined {
  xdp.set(true);
  const ran = xdp.runOn(device, frame);
  if (ran.action !== XdpAction.pass) {
    assert.ok(ran.action === XdpAction.send || ran.action === XdpAction.redirect, `action ${ran.action}`);
    return ran.frame;
  }
  assert.deepEqual(
    Buffer.from(ran.frame).toString('hex'),
    Buffer.from(frame).toString('hex'),
    'what passes is changed',
  );
  return undefined;
}

/** Without what differs from packet to packet: the tunnel's source port and its identification, and sums over them. */
function withoutChance(frame: Uint8Array): string {
  const outer = parsePacket(frame);
  assert.notEqual(outer.ipv4?.checksumValid, false);
  assert.notEqual(outer.udp?.checksumValid, false);
  const bytes = Buffer.from(frame);
  if (outer.ipv4) bytes.fill(0, 18, 20).fill(0, 24, 26);
  const transport = outer.ipv4 ? 34 : 54;
  bytes.fill(0, transport, transport + 2);
  // Over IPv4 there is none, and that is compared.
  if (outer.ipv6) bytes.fill(0, transport + 6, transport + 8);
  return bytes.toString('hex');
}

for (const underlay of ['ipv4', 'ipv6'] as const) {
  for (const family of ['ipv4', 'ipv6'] as const) {
    for (const protocol of [TCP, UDP]) {
      const what = `${protocolNames.get(protocol)} over ${family} in a tunnel over ${underlay}`;

      test(`XDP and TC make the same of each packet from the world: ${what}`, (context) => {
        pair.tunnelOver(underlay);
        using sample = pair.connection(family, protocol);
        const { ethernet } = sample.request;
        assert.ok(ethernet);
        seed += 1;
        const random = seededRandom(seed);
        let served = 0;
        for (let index = 0; index < PACKETS; index += 1) {
          const drawn = drawPacket(packet().ethernet(ethernet), sample.request, random, index);
          const byXdp = sentByXdp(world.device, drawn.frame);
          if (byXdp === undefined) continue;
          assert.ok(!drawn.ends, 'it ends its connection, and XDP has sent it');
          served += 1;
          const byTc = sentByTc(world, { from: world.wanIfindex, to: pair.otherIfindex }, drawn);
          assert.ok(byTc, `TC has not sent it: ${Buffer.from(drawn.frame).toString('hex')}`);
          // Over IPv6 the tunnel's sum is over a payload that is not what its own sum says: the other node refuses it.
          if (underlay === 'ipv6' && !drawn.isSound) continue;
          assert.equal(withoutChance(byXdp), withoutChance(byTc), `of ${Buffer.from(drawn.frame).toString('hex')}`);
        }
        context.diagnostic(`${served} of ${PACKETS} served`);
        assert.ok(served > PACKETS / 10, `${served} served`);
      });

      test(`XDP and TC make the same of each packet from the tunnel: ${what}`, (context) => {
        pair.tunnelOver(underlay);
        using sample = pair.connection(family, protocol);
        const { ethernet, ipv4, ipv6, vxlan } = sample.answer;
        const inner = vxlan?.inner;
        assert.ok(ethernet && inner?.ethernet);
        seed += 1;
        const random = seededRandom(seed);
        let served = 0;
        for (let index = 0; index < PACKETS; index += 1) {
          const ecn = random.pick([0, 0, 0, 1, 2, 3]);
          const base = packet().ethernet(ethernet);
          const sender = random.oneIn(10) ? (ipv4 ? '10.10.30.77' : 'fd00:10:10:30::77') : undefined;
          const network = ipv4
            ? base.ipv4({ source: sender ?? ipv4.source, destination: ipv4.destination, typeOfService: ecn })
            : base.ipv6({
                source: sender ?? ipv6?.source ?? '',
                destination: ipv6?.destination ?? '',
                trafficClass: ecn,
              });
          const hasSum = ipv4 === undefined || random.oneIn(3);
          const tunnel = network.udp({
            ...{ sourcePort: 50_000 + random.below(1000), destinationPort: 8472 },
            ...(!hasSum && { checksum: 0 }),
            ...(random.oneIn(10) && { checksum: random.below(65_536) }),
          });
          const vni = random.pick([1001, 1001, 1001, 0]);
          const drawn = drawPacket(tunnel.vxlan({ vni }).ethernet(inner.ethernet), inner, random, index);
          const byXdp = drawn.frame.byteLength > FRAME_MAX ? undefined : sentByXdp('lan0', drawn.frame);
          if (byXdp === undefined) continue;
          assert.ok(!drawn.ends && vni !== 0 && sender === undefined, 'not for XDP');
          served += 1;
          const byTc = sentByTc(other, { from: pair.otherIfindex, to: world.wanIfindex }, drawn);
          assert.ok(byTc, `TC has not sent it: ${Buffer.from(drawn.frame).toString('hex')}`);
          assert.equal(Buffer.from(byXdp).toString('hex'), Buffer.from(byTc).toString('hex'));
        }
        context.diagnostic(`${served} of ${PACKETS} served`);
        assert.ok(served > PACKETS / 20, `${served} served`);
      });
    }
  }
}
