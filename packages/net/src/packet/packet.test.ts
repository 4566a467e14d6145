import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { macFromBytes, parseMac } from '../mac.ts';
import { packet } from './build.ts';
import { checksum } from './checksum.ts';
import { formatPacket } from './format.ts';
import type { Ipv6Extension } from './packet.ts';
import { parsePacket } from './parse.ts';
import { tcpFlagsText } from './protocol.ts';
import { ipv4Text, ipv6Text } from './wire-address.ts';

/** deepEqual compares prototypes. */
const PLAIN = { noNullPrototype: true } as const;
const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);
const hex = (bytes: string) => new Uint8Array(Buffer.from(bytes.replaceAll(/\s/g, ''), 'hex'));

describe('checksum', () => {
  test('is that of the example in RFC 1071', () => {
    assert.equal(checksum(hex('0001 f203 f4f5 f6f7')), ~0xddf2 & 0xffff);
  });

  test('takes an odd byte as the high half of a word', () => {
    assert.equal(checksum(hex('01')), ~0x0100 & 0xffff);
  });
});

describe('a packet from elsewhere', () => {
  // A header that textbooks sum up to 0xb1e6; the TCP checksum is left 0.
  test('is read field by field', () => {
    const syn = parsePacket(
      hex(`4500003c 1c464000 4006b1e6 ac100a63 ac100a0c  9c40 0050 00000001 00000000 a002 faf0 0000 0000
           020405b4 0402080a 00000001 00000000 01030307`),
      { start: 'ip' },
    );
    assert.equal(syn.problem, undefined);
    assert.equal(syn.ipv4?.checksumValid, true);
    assert.equal(syn.ipv4?.dontFragment, true);
    assert.equal(syn.ipv4?.source, '172.16.10.99');
    assert.equal(syn.tcp?.flags, 'S');
    assert.equal(syn.tcp?.options.length, 20);
    assert.equal(syn.tcp?.checksumValid, false);
  });
});

describe('a built packet', () => {
  test('has an IPv4 header like the one that textbooks compute', () => {
    const bytes = packet()
      .ipv4({ source: '192.168.0.1', destination: '192.168.0.199', dontFragment: true, ttl: 64, protocol: 17 })
      .payload(new Uint8Array(0x73 - 20));
    assert.equal(
      Buffer.from(bytes.subarray(0, 20)).toString('hex'),
      '4500007300004000 4011b861 c0a80001c0a800c7'.replaceAll(' ', ''),
    );
  });

  test('ends where its lengths say, also when Ethernet pads it', () => {
    const short = packet().ethernet().ipv4().udp().payload('hi');
    const padded = new Uint8Array(60);
    padded.set(short);
    const read = parsePacket(padded);
    assert.equal(text(read.payload), 'hi');
    assert.equal(read.udp?.checksumValid, true);
  });

  test('can be wrong where it is told to', () => {
    const wrong = parsePacket(packet().ethernet({ etherType: 0x1234 }).ipv4().udp().payload());
    assert.equal(wrong.ethernet?.etherType, 0x1234);
    assert.equal(wrong.ipv4, undefined);
    const sum = parsePacket(packet().ethernet().ipv4({ checksum: 1 }).tcp({ checksum: 2 }).payload());
    assert.equal(sum.ipv4?.checksumValid, false);
    assert.equal(sum.tcp?.checksumValid, false);
    const mapped = parsePacket(packet().ethernet().ipv6({ source: '::ffff:10.0.0.1' }).udp().payload());
    assert.equal(mapped.ipv6?.source, '::ffff:a00:1');
  });

  test('over IPv4 may lack a UDP checksum', () => {
    assert.equal(parsePacket(packet().ethernet().ipv4().udp({ checksum: 0 }).payload()).udp?.checksumValid, true);
    assert.equal(parsePacket(packet().ethernet().ipv6().udp({ checksum: 0 }).payload()).udp?.checksumValid, false);
  });
});

describe('every layer comes back as it was built', () => {
  const mac = fc.uint8Array({ minLength: 6, maxLength: 6 }).map((bytes) => macFromBytes(bytes));
  const ipv4 = fc.uint8Array({ minLength: 4, maxLength: 4 }).map((bytes) => ipv4Text(bytes, 0));
  const ipv6 = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => ipv6Text(bytes, 0));
  const u8 = fc.nat(0xff);
  const u16 = fc.nat(0xffff);
  const u32 = fc.nat(0xffffffff);
  const words = fc.nat(10).chain((count) => fc.uint8Array({ minLength: count * 4, maxLength: count * 4 }));
  const content = fc.uint8Array({ maxLength: 100 });
  const port = u16.filter((value) => value !== 4789 && value !== 8472);

  test('Ethernet and ARP', () => {
    const arp = fc.record(
      { operation: u16, senderMac: mac, senderAddress: ipv4, targetMac: mac, targetAddress: ipv4 },
      PLAIN,
    );
    fc.assert(
      fc.property(mac, mac, arp, (source, destination, fields) => {
        const read = parsePacket(packet().ethernet({ source, destination }).arp(fields).payload());
        assert.deepEqual(read.ethernet, { source, destination, etherType: 0x0806 });
        assert.deepEqual(read.arp, fields);
      }),
    );
  });

  const tcpFields = fc.record({
    sourcePort: u16,
    destinationPort: u16,
    sequence: u32,
    acknowledgement: u32,
    flags: u8.map(tcpFlagsText),
    window: u16,
    urgent: u16,
    options: words,
  });

  test('IPv4 with options and TCP with options', () => {
    const ip = fc.record({
      source: ipv4,
      destination: ipv4,
      ttl: u8,
      typeOfService: u8,
      identification: u16,
      dontFragment: fc.boolean(),
      options: words,
    });
    fc.assert(
      fc.property(ip, tcpFields, content, (ipFields, tcp, payload) => {
        const bytes = packet().ethernet().ipv4(ipFields).tcp(tcp).payload(payload);
        const read = parsePacket(bytes);
        const expected = { protocol: 6, moreFragments: false, fragmentOffset: 0, checksumValid: true };
        assert.deepEqual(read.ipv4, { ...ipFields, ...expected, totalLength: bytes.length - 14 });
        assert.deepEqual(read.tcp, { ...tcp, checksumValid: true });
        assert.deepEqual(read.payload, payload);
        assert.equal(read.problem, undefined);
      }),
    );
  });

  const data = fc.nat(3).chain((count) => fc.uint8Array({ minLength: count * 8 + 6, maxLength: count * 8 + 6 }));
  const extension: fc.Arbitrary<Ipv6Extension> = fc.record(
    {
      kind: fc.constantFrom('hopByHop' as const, 'routing' as const, 'destinationOptions' as const),
      data,
    },
    PLAIN,
  );
  const ipv6Fields = fc.record({
    source: ipv6,
    destination: ipv6,
    hopLimit: u8,
    trafficClass: u8,
    flowLabel: fc.nat(0xfffff),
    extensions: fc.array(extension, { maxLength: 4 }),
  });

  test('IPv6 with extension headers, and UDP', () => {
    fc.assert(
      fc.property(ipv6Fields, u16, port, content, (fields, sourcePort, destinationPort, payload) => {
        const bytes = packet().ipv6(fields).udp({ sourcePort, destinationPort }).payload(payload);
        const read = parsePacket(bytes, { start: 'ip' });
        assert.deepEqual(read.ipv6, { ...fields, protocol: 17, payloadLength: bytes.length - 40 });
        assert.deepEqual(read.udp, { sourcePort, destinationPort, length: payload.length + 8, checksumValid: true });
        assert.deepEqual(read.payload, payload);
      }),
    );
  });

  test('fragments: the first has ports, the others only bytes', () => {
    const offset = fc.integer({ min: 1, max: 8191 }).map((value) => value * 8);
    fc.assert(
      fc.property(offset, u32, (at, identification) => {
        const later: Ipv6Extension = { kind: 'fragment', offset: at, more: true, identification };
        const read = parsePacket(
          packet()
            .ipv6({ extensions: [later], protocol: 17 })
            .payload('rest'),
          { start: 'ip' },
        );
        assert.deepEqual(read.ipv6?.extensions, [later]);
        assert.equal(read.udp, undefined);
        assert.equal(text(read.payload), 'rest');
        const v4 = parsePacket(packet().ipv4({ fragmentOffset: at, protocol: 17 }).payload('rest'), { start: 'ip' });
        assert.equal(v4.ipv4?.fragmentOffset, at);
        assert.equal(v4.udp, undefined);
      }),
    );
    const first = parsePacket(packet().ipv4({ moreFragments: true }).udp({ length: 4000 }).payload('start'), {
      start: 'ip',
    });
    assert.equal(first.udp?.length, 4000);
    assert.equal(first.udp?.checksumValid, undefined);
    assert.equal(first.problem, undefined);
  });

  test('ICMP and ICMPv6 echo', () => {
    const echo = fc.record({ code: u8, identifier: u16, sequence: u16 });
    fc.assert(
      fc.property(echo, content, (fields, payload) => {
        const read = parsePacket(packet().ipv4().icmp(fields).payload(payload), { start: 'ip' });
        assert.deepEqual(read.icmp, { ...fields, type: 8, checksumValid: true });
        const read6 = parsePacket(packet().ipv6().icmpv6(fields).payload(payload), { start: 'ip' });
        assert.deepEqual(read6.icmpv6, { ...fields, type: 128, checksumValid: true });
        assert.deepEqual(read6.payload, payload);
      }),
    );
  });

  test('neighbour discovery', () => {
    const neighbour = fc.record(
      {
        target: ipv6,
        router: fc.boolean(),
        solicited: fc.boolean(),
        override: fc.boolean(),
        sourceMac: mac,
        targetMac: mac,
      },
      PLAIN,
    );
    fc.assert(
      fc.property(neighbour, (fields) => {
        const built = packet().ethernet().ipv6({ hopLimit: 255 });
        const solicitation = parsePacket(built.neighbourSolicitation(fields).payload());
        assert.deepEqual(solicitation.icmpv6?.neighbour, fields);
        assert.equal(solicitation.icmpv6?.checksumValid, true);
        assert.deepEqual(parsePacket(built.neighbourAdvertisement(fields).payload()).icmpv6?.neighbour, fields);
      }),
    );
  });

  test('VXLAN with a packet inside', () => {
    fc.assert(
      fc.property(fc.nat(0xffffff), ipv6Fields, tcpFields, (vni, ip, tcp) => {
        const outer = packet().ethernet().ipv4().udp({ destinationPort: 8472 }).vxlan({ vni });
        const read = parsePacket(outer.ethernet().ipv6(ip).tcp(tcp).payload('inside'));
        assert.equal(read.vxlan?.vni, vni);
        assert.equal(read.udp?.checksumValid, true);
        assert.deepEqual(read.vxlan?.inner.tcp, { ...tcp, checksumValid: true });
        assert.equal(text(read.vxlan?.inner.payload ?? new Uint8Array(0)), 'inside');
      }),
    );
  });

  test('what an ICMP error is about, though it is cut off', () => {
    const about = packet().ipv4({ source: '10.0.0.9' }).udp({ destinationPort: 5353 }).payload('a long question');
    const bytes = packet().ethernet().ipv4().icmp({ type: 3, code: 3 }).payload(about.subarray(0, 28));
    const read = parsePacket(bytes);
    assert.equal(read.icmp?.embedded?.ipv4?.source, '10.0.0.9');
    assert.equal(read.icmp?.embedded?.udp?.destinationPort, 5353);
    assert.equal(read.icmp?.embedded?.truncated, true);
    assert.equal(read.problem, undefined);
  });
});

describe('damaged bytes', () => {
  const whole = [
    packet()
      .ethernet()
      .ipv4({ options: new Uint8Array(8) })
      .tcp({ options: new Uint8Array(12) })
      .payload('data'),
    packet()
      .ethernet()
      .ipv6({ extensions: [{ kind: 'hopByHop', data: new Uint8Array(6) }] })
      .udp()
      .payload('data'),
    packet()
      .ethernet()
      .ipv6()
      .neighbourSolicitation({ target: 'fd00::1', sourceMac: parseMac('02:00:00:00:00:09') })
      .payload(),
    packet().ethernet().ipv4().udp({ destinationPort: 8472 }).vxlan({ vni: 7 }).ethernet().arp().payload(),
    packet().ethernet().ipv4().icmp({ type: 11 }).payload(packet().ipv4().tcp().payload()),
    packet().ethernet().arp().payload(),
  ];

  test('never make the parser throw, nor the line that is printed', () => {
    const damage = fc.array(fc.tuple(fc.nat(200), fc.nat(255)), { maxLength: 6 });
    fc.assert(
      fc.property(fc.constantFrom(...whole), damage, fc.nat(200), (bytes, changes, length) => {
        const damaged = bytes.slice(0, length);
        for (const [at, value] of changes) if (at < damaged.length) damaged[at] = value;
        const line = formatPacket(parsePacket(damaged));
        assert.ok(!line.includes('undefined') && !line.includes('\n'), line);
      }),
      { numRuns: 3000 },
    );
  });

  test('of any kind never make the parser throw', () => {
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 200 }),
        fc.constantFrom('ethernet' as const, 'ip' as const),
        (bytes, start) => {
          formatPacket(parsePacket(bytes, { start }));
        },
      ),
      { numRuns: 2000 },
    );
  });

  test('are named: layer, offset and what is wrong', () => {
    const cut = packet().ethernet().ipv4().tcp().payload().slice(0, 40);
    const { problem, truncated } = parsePacket(cut);
    assert.deepEqual(problem, { layer: 'tcp', offset: 34, text: '20 bytes wanted, 6 are left' });
    assert.equal(truncated, true);
  });

  test('keep what was read before', () => {
    const read = parsePacket(packet().ethernet().ipv4({ source: '10.9.9.9' }).payload('xx').slice(0, 34));
    assert.equal(read.ipv4?.source, '10.9.9.9');
  });

  test('with packets in packets without end are not followed', () => {
    let bytes = packet().ethernet().ipv4().udp().payload();
    for (let depth = 0; depth < 10; depth++) {
      const around = packet().ethernet().ipv4().udp({ destinationPort: 4789 }).vxlan({ vni: depth });
      bytes = around.payload(bytes);
    }
    assert.match(formatPacket(parsePacket(bytes)), /more than 4 packets in packets/);
  });
});

describe('a line', () => {
  const lines: readonly (readonly [string, Uint8Array])[] = [
    [
      'IP 10.0.0.1.40000 > 10.0.0.2.80: Flags [S], seq 1, win 64240, length 0',
      packet().ethernet().ipv4().tcp().payload(),
    ],
    [
      'IP6 fd00::1.40000 > fd00::2.80: Flags [P.], seq 1, ack 9, win 64240, length 2',
      packet().ethernet().ipv6().tcp({ flags: 'PA', acknowledgement: 9 }).payload('hi'),
    ],
    ['IP 10.0.0.1.40000 > 10.0.0.2.53: UDP, length 3', packet().ethernet().ipv4().udp().payload('abc')],
    ['ARP, Request who-has 10.0.0.2 tell 10.0.0.1', packet().ethernet().arp().payload()],
    ['ARP, Reply 10.0.0.1 is-at 02:00:00:00:00:01', packet().ethernet().arp({ operation: 2 }).payload()],
    [
      'IP 10.0.0.1 > 10.0.0.2: ICMP echo request, id 1, seq 1, length 12',
      packet().ethernet().ipv4().icmp().payload('ping'),
    ],
    [
      'IP6 fd00::1 > fd00::2: ICMP6, neighbor solicitation, who has fd00::9',
      packet().ethernet().ipv6().neighbourSolicitation({ target: 'fd00::9' }).payload(),
    ],
    [
      'IP 10.0.0.1.40000 > 10.0.0.2.8472: VXLAN, vni 300 | ARP, Request who-has 10.0.0.2 tell 10.0.0.1',
      packet().ethernet().ipv4().udp({ destinationPort: 8472 }).vxlan({ vni: 300 }).ethernet().arp().payload(),
    ],
    [
      'IP 10.0.0.1 > 10.0.0.2: ICMP port unreachable (IP 10.0.0.1.40000 > 10.0.0.2.53: UDP, length 0)',
      packet().ethernet().ipv4().icmp({ type: 3, code: 3 }).payload(packet().ipv4().udp().payload()),
    ],
    [
      'IP 10.0.0.1 > 10.0.0.2: frag at 8+, protocol 17, length 1',
      packet().ethernet().ipv4({ protocol: 17, fragmentOffset: 8, moreFragments: true }).payload('x'),
    ],
    [
      '02:00:00:00:00:01 > 02:00:00:00:00:02, ethertype 0x88cc, length 2',
      packet().ethernet({ etherType: 0x88cc }).payload('xx'),
    ],
  ];
  for (const [line, bytes] of lines) test(line, () => assert.equal(formatPacket(parsePacket(bytes)), line));
});
