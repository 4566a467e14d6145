import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type PacketBuilder, packet, parseAddress, parseMac } from '@sluice/net';
import { configuration, createBench, gateway, IFINDEX, neighbour, pod, remotePod } from '../test/programs.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { DropReason, dropReasonNames, FrontendFlag, IpcacheFlag } from './index.ts';

const service = { ipv4: parseAddress('10.96.0.20'), ipv6: parseAddress('fd00:10:96::20') } as const;
const balancer = { ipv4: parseAddress('203.0.113.5'), ipv6: parseAddress('2001:db8:113::5') } as const;
const world = { ipv4: '192.0.2.1', ipv6: '2001:db8::1' } as const;
const families = ['ipv4', 'ipv6'] as const;
type Family = (typeof families)[number];

const bench = createBench();
after(() => bench[Symbol.dispose]());
for (const [index, family] of families.entries()) {
  const [address, backend] = [service[family], { id: index + 1, address: neighbour[family], port: 8080 }];
  const id = 10 * index;
  writeService(bench.maps, { id: id + 1, address, port: 80, protocol: TCP, backends: [] });
  writeService(bench.maps, { id: id + 2, address, port: 80, protocol: UDP, backends: [] });
  writeService(bench.maps, { id: id + 3, address, port: 443, protocol: TCP, backends: [backend] });
  const external = { address: balancer[family], flags: FrontendFlag.External };
  writeService(bench.maps, { id: id + 4, ...external, port: 443, protocol: TCP, backends: [backend] });
}

bench.maps.devices.update(IFINDEX, { ipv4: parseAddress('10.10.30.1'), ipv6: undefined });

/** On to the next program, or the stack. */
const TC_ACT_UNSPEC = 0xffff_ffff;

const frame = packet().ethernet({ source: pod.mac, destination: gateway.mac });

/** From the pod, unless told otherwise. */
function ip(family: Family, fields: { source?: string; destination: string; ttl?: number }): PacketBuilder {
  const { source = pod[family], destination, ttl = 64 } = fields;
  if (family === 'ipv4') return frame.ipv4({ source, destination, ttl });
  return frame.ipv6({ source, destination, hopLimit: ttl });
}

function patched(bytes: Uint8Array, offset: number, value: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  copy[offset] = value;
  return copy;
}

interface DropCase {
  readonly reason: DropReason;
  readonly what: string;
  readonly packet: Uint8Array;
  readonly program?: string;
}

const toNeighbour = frame.ipv4({ source: pod.ipv4, destination: neighbour.ipv4 });
const toNeighbour6 = frame.ipv6({ source: pod.ipv6, destination: neighbour.ipv6 });
const IPPROTO_SCTP = 132;

function sctp(family: Family, destination: string, source: string = pod[family]): Uint8Array {
  const data = new Uint8Array(16);
  if (family === 'ipv4') return frame.ipv4({ source, destination, protocol: IPPROTO_SCTP }).payload(data);
  return frame.ipv6({ source, destination, protocol: IPPROTO_SCTP }).payload(data);
}

const extension = { kind: 'destinationOptions', data: new Uint8Array(6) } as const;

const dropCases: readonly DropCase[] = [
  {
    reason: DropReason.NotTracked,
    what: 'to the world, of a connection that nobody remembers',
    packet: ip('ipv4', { destination: world.ipv4 })
      .tcp({ sourcePort: 4711, destinationPort: 80, flags: 'A' })
      .payload(),
    program: 'netdev_to_network',
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'UDP header cut off',
    packet: frame.ipv4({ source: pod.ipv4, destination: neighbour.ipv4, totalLength: 24 }).udp().payload(),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'IPv4 length beyond the packet',
    packet: frame.ipv4({ source: pod.ipv4, destination: neighbour.ipv4, totalLength: 400 }).udp().payload('x'),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'IPv4 header length of 4',
    packet: patched(toNeighbour.udp().payload(), 14, 0x41),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'IPv6 length beyond the packet',
    packet: frame.ipv6({ source: pod.ipv6, destination: neighbour.ipv6, payloadLength: 400 }).udp().payload('x'),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'IPv6 extension header beyond the packet',
    packet: patched(
      frame
        .ipv6({ source: pod.ipv6, destination: neighbour.ipv6, extensions: [extension] })
        .udp()
        .payload(),
      55,
      200,
    ),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'UDP length beyond the packet',
    packet: toNeighbour.udp({ length: 100 }).payload(),
  },
  {
    reason: DropReason.InvalidPacket,
    what: 'TCP header longer than the packet',
    packet: patched(toNeighbour.tcp().payload(), 46, 0xf0),
  },
  {
    reason: DropReason.UnknownEthertype,
    what: 'LLDP',
    packet: packet().ethernet({ source: pod.mac, etherType: 0x88cc }).payload('xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'),
  },
  {
    reason: DropReason.UnknownProtocol,
    what: 'seven extension headers',
    packet: frame
      .ipv6({ source: pod.ipv6, destination: neighbour.ipv6, extensions: Array.from({ length: 7 }, () => extension) })
      .udp()
      .payload(),
  },
  {
    reason: DropReason.InvalidSourceAddress,
    what: "the neighbour's address",
    packet: ip('ipv4', { source: neighbour.ipv4, destination: remotePod.ipv4 }).udp().payload(),
  },
  {
    reason: DropReason.InvalidSourceAddress,
    what: "the node's address",
    packet: ip('ipv6', { source: gateway.ipv6, destination: remotePod.ipv6 }).udp().payload(),
  },
  {
    reason: DropReason.InvalidSourceAddress,
    what: 'a link-local address beyond the link',
    packet: ip('ipv6', { source: 'fe80::1', destination: remotePod.ipv6 }).udp().payload(),
  },
  {
    reason: DropReason.InvalidSourceAddress,
    what: "ARP with the neighbour's address",
    packet: frame.arp({ senderMac: pod.mac, senderAddress: neighbour.ipv4, targetAddress: gateway.ipv4 }).payload(),
  },
  {
    reason: DropReason.InvalidSourceMac,
    what: 'another MAC',
    packet: packet()
      .ethernet({ source: neighbour.mac, destination: gateway.mac })
      .ipv4({ source: pod.ipv4, destination: remotePod.ipv4 })
      .udp()
      .payload(),
  },
  {
    reason: DropReason.InvalidSourceMac,
    what: 'ARP that claims another MAC',
    packet: frame.arp({ senderMac: neighbour.mac, senderAddress: pod.ipv4, targetAddress: gateway.ipv4 }).payload(),
  },
  {
    reason: DropReason.MappedAddress,
    what: 'mapped destination on the wire',
    packet: frame.ipv6({ source: pod.ipv6, destination: '::ffff:10.244.1.11' }).udp().payload(),
  },
  {
    reason: DropReason.MappedAddress,
    what: 'mapped source on the wire',
    packet: frame.ipv6({ source: '::ffff:10.244.1.10', destination: neighbour.ipv6 }).udp().payload(),
  },
  {
    reason: DropReason.LoopbackAddress,
    what: "the node's loopback",
    packet: ip('ipv4', { source: pod.ipv4, destination: '127.0.0.1' }).udp().payload(),
  },
  {
    reason: DropReason.LoopbackAddress,
    what: "the node's IPv6 loopback",
    packet: ip('ipv6', { source: pod.ipv6, destination: '::1' }).udp().payload(),
  },
  ...['', 'SF', 'SR', 'F', 'FPU', 'SRFPAU'].map((flags) => ({
    reason: DropReason.InvalidTcpFlags,
    what: `TCP flags "${flags}"`,
    packet: toNeighbour.tcp({ flags }).payload(),
  })),
  {
    reason: DropReason.StaleOrUnroutable,
    what: 'from the host to an address that no pod has',
    program: 'host_from_host',
    packet: packet().ethernet().ipv4({ source: gateway.ipv4, destination: '10.244.1.99' }).udp().payload(),
  },
  {
    reason: DropReason.StaleOrUnroutable,
    what: "from a pod to an address of its node's CIDR that no pod has",
    packet: ip('ipv4', { source: pod.ipv4, destination: '10.244.1.99' }).udp().payload(),
  },
  {
    reason: DropReason.NoTunnelKey,
    what: 'from the overlay without metadata',
    program: 'overlay_from_overlay',
    packet: toNeighbour.udp().payload(),
  },
  ...families.map((family) => ({
    reason: DropReason.TtlExceeded,
    what: `the last hop over ${family}`,
    packet: ip(family, { destination: neighbour[family], ttl: 1 }).udp().payload(),
  })),
  ...families.map((family) => ({
    reason: DropReason.NoBackend,
    what: `a service without backends over ${family}`,
    packet: ip(family, { destination: service[family] }).tcp({ destinationPort: 80 }).payload(),
  })),
  ...families.map((family) => ({
    reason: DropReason.NoBackend,
    what: `a port that the service does not have over ${family}`,
    packet: ip(family, { destination: service[family] }).tcp({ destinationPort: 81 }).payload(),
  })),
  ...families.map((family) => ({
    reason: DropReason.ServiceNotTranslated,
    what: `a protocol that services do not have, over ${family}`,
    packet: sctp(family, service[family]),
  })),
  ...families.map((family) => ({
    reason: DropReason.ServiceNotTranslated,
    what: `a protocol that services do not have, from the world, which the node's stack would forward (${family})`,
    program: 'netdev_from_network',
    packet: sctp(family, balancer[family], world[family]),
  })),
  ...families.flatMap((family) => {
    const fromWorld = ip(family, { source: world[family], destination: balancer[family] });
    const where = `from the world to a service, which the node's stack would send back to its router (${family})`;
    const program = 'netdev_from_network';
    return [
      {
        ...{ reason: DropReason.InvalidTcpFlags, what: `SYN and FIN ${where}`, program },
        packet: fromWorld.tcp({ destinationPort: 443, flags: 'SF' }).payload(),
      },
      {
        ...{ reason: DropReason.InvalidPacket, what: `a datagram's length beyond the packet ${where}`, program },
        packet: fromWorld.udp({ destinationPort: 443, length: 100 }).payload(),
      },
    ];
  }),
  ...['0.0.0.0', '255.255.255.255', '224.0.0.5', '::', 'ff02::1'].map((source) => {
    const family = source.includes(':') ? 'ipv6' : 'ipv4';
    return {
      reason: DropReason.InvalidSourceAddress,
      what: `to a service from ${source}, where nobody can be answered`,
      program: 'netdev_from_network',
      packet: ip(family, { source, destination: balancer[family] }).tcp({ destinationPort: 443 }).payload(),
    };
  }),
  ...families.map((family) => ({
    reason: DropReason.ServiceNotTranslated,
    what: `from the world, which the node's stack forwards to a service (${family})`,
    program: 'host_from_host',
    packet: ip(family, { source: world[family], destination: service[family] }).tcp({ destinationPort: 443 }).payload(),
  })),
  {
    reason: DropReason.InvalidNeighbourRequest,
    what: 'ARP for the neighbour',
    packet: frame.arp({ senderMac: pod.mac, senderAddress: pod.ipv4, targetAddress: neighbour.ipv4 }).payload(),
  },
  {
    reason: DropReason.InvalidNeighbourRequest,
    what: 'NDP for the neighbour',
    packet: frame
      .ipv6({ source: pod.ipv6, destination: 'ff02::1:ff00:11', hopLimit: 255 })
      .neighbourSolicitation({ target: neighbour.ipv6 })
      .payload(),
  },
  {
    reason: DropReason.InvalidNeighbourRequest,
    what: 'a router advertisement of a pod (CVE-2020-10749)',
    packet: frame.ipv6({ source: 'fe80::1', destination: 'ff02::1', hopLimit: 255 }).icmpv6({ type: 134 }).payload('x'),
  },
  {
    reason: DropReason.InvalidNeighbourRequest,
    what: 'NDP from beyond the link',
    packet: frame
      .ipv6({ source: pod.ipv6, destination: gateway.ipv6, hopLimit: 64 })
      .neighbourSolicitation({ target: gateway.ipv6 })
      .payload(),
  },
];

for (const { reason, what, packet: bytes, program = 'pod_from_pod' } of dropCases) {
  test(`${dropReasonNames[reason]}: ${what}`, () => {
    const key = { reason, direction: ['pod_from_pod', 'netdev_to_network'].includes(program) ? 1 : 0 };
    const counted = () => bench.maps.counters.lookup(key)?.reduce((sum, { packets }) => sum + packets, 0n) ?? 0n;
    const before = counted();
    const { drops } = bench.run(program, bytes);
    assert.deepEqual(
      drops.map((drop) => dropReasonNames[drop.reason]),
      [dropReasonNames[reason]],
    );
    assert.equal(drops[0]?.packetLength, bytes.byteLength);
    assert.deepEqual(drops[0]?.packet, bytes.slice(0, 96));
    assert.equal(counted() - before, 1n);
  });
}

test('invalid_identity: a pod without one does not get into the tunnel', () => {
  const { maps } = bench;
  const row = maps.endpoints.lookup(pod.ipv4);
  assert.ok(row);
  maps.endpoints.update(pod.ipv4, { ...row, identity: 0 });
  const { drops } = bench.run('pod_from_pod', ip('ipv4', { destination: remotePod.ipv4 }).udp().payload());
  maps.endpoints.update(pod.ipv4, row);
  assert.deepEqual(
    drops.map((drop) => drop.reason),
    [DropReason.InvalidIdentity],
  );
});

test('every drop reason is met by a packet here, or it is known why not', () => {
  const elsewhere = new Map<DropReason, string>([
    [DropReason.Forwarded, 'no drop'],
    [DropReason.InvalidIdentity, 'in a test of its own'],
    [DropReason.TooBig, 'needs the tunnel: overlay.kernel.test.ts'],
    [DropReason.InvalidTunnelSender, 'needs the tunnel: overlay.kernel.test.ts'],
    [DropReason.EncapFailed, 'needs the tunnel: dsr.kernel.test.ts'],
    [DropReason.WriteFailed, 'only without memory'],
    [DropReason.CtCreateFailed, 'counted, not dropped: see conntrack.kernel.test.ts'],
    [DropReason.FragmentUnsupported, 'needs more of them than can wait: fragments.kernel.test.ts'],
    [DropReason.NatExhausted, 'needs a world: routes.kernel.test.ts'],
    [DropReason.NoMasqueradeAddress, 'needs a device without one: routes.kernel.test.ts'],
    [DropReason.NoLocalBackend, 'needs a client from outside: ways-in.kernel.test.ts'],
    [DropReason.ClientNotAllowed, 'needs a client from outside: ways-in.kernel.test.ts'],
    [DropReason.ForgedDsrOption, 'needs the tunnel: dsr.kernel.test.ts'],
    [DropReason.PortOfService, 'needs a bind: bind.kernel.test.ts'],
    [DropReason.NatConflict, 'needs two connections: conflict.kernel.test.ts'],
    [DropReason.NatUnsupported, 'needs a world: routes.kernel.test.ts'],
    [DropReason.NoRoute, 'needs routes: routes.kernel.test.ts'],
    [DropReason.TablesTakenOver, 'needs an upgrade: upgrade.kernel.test.ts'],
  ]);
  const met = new Set(dropCases.map(({ reason }) => reason));
  const missing = Object.values(DropReason).filter((reason) => !met.has(reason) && !elsewhere.has(reason));
  assert.deepEqual(
    missing.map((reason) => dropReasonNames[reason]),
    [],
  );
});

test('what stands behind the end of an ICMP error is not taken for its quotation', () => {
  const ports = { sourcePort: 4712, destinationPort: 443 };
  const sent = bench.run('pod_from_pod', ip('ipv4', { destination: service.ipv4 }).tcp(ports).payload());
  assert.equal(sent.packet.ipv4?.destination, neighbour.ipv4);
  const quoted = sent.bytes.subarray(14);
  const error = (totalLength?: number) =>
    packet()
      .ethernet({ source: gateway.mac, destination: gateway.mac })
      .ipv4({ source: gateway.ipv4, destination: pod.ipv4, ...(totalLength && { totalLength }) })
      .icmp({ type: 3, code: 1, identifier: 0, sequence: 0, ...(totalLength && { checksum: 0xfcfe }) })
      .payload(quoted);
  const whole = bench.run('host_from_host', error());
  assert.deepEqual(
    [whole.packet.icmp?.embedded?.ipv4?.destination, whole.packet.icmp?.checksumValid],
    [service.ipv4, true],
  );
  const cut = bench.run('host_from_host', error(28));
  assert.deepEqual([...cut.bytes.subarray(14 + 28)], [...quoted]);
  assert.equal(cut.packet.icmp?.checksumValid, true);
});

test('a drop event tells who and what', () => {
  const bytes = ip('ipv6', { destination: service.ipv6 }).tcp({ sourcePort: 4711, destinationPort: 80 }).payload();
  const [drop] = bench.run('pod_from_pod', bytes).drops;
  assert.equal(drop?.source, pod.ipv6);
  assert.equal(drop?.destination, service.ipv6);
  assert.deepEqual([drop?.sourcePort, drop?.destinationPort, drop?.protocol], [4711, 80, TCP]);
  assert.deepEqual([drop?.sourceIdentity, drop?.endpointId], [pod.identity, 1]);
  assert.equal(drop?.direction, 'egress');
  assert.ok(Math.abs((drop?.at ?? 0) - Date.now()) < 60_000);
});

test('ARP for the gateway is answered with its MAC', () => {
  const question = frame.arp({ senderMac: pod.mac, senderAddress: pod.ipv4, targetAddress: gateway.ipv4 });
  const { action, packet: answer } = bench.run('pod_from_pod', question.payload());
  assert.equal(action, 'redirect');
  assert.equal(answer.ethernet?.destination, pod.mac);
  assert.deepEqual(answer.arp, {
    operation: 2,
    senderMac: gateway.mac,
    senderAddress: gateway.ipv4,
    targetMac: pod.mac,
    targetAddress: pod.ipv4,
  });
});

test('a neighbour solicitation for the gateway is answered with its MAC', () => {
  const question = frame
    .ipv6({ source: pod.ipv6, destination: 'ff02::1:ff00:1', hopLimit: 255 })
    .neighbourSolicitation({ target: gateway.ipv6, sourceMac: pod.mac });
  const { action, packet: answer } = bench.run('pod_from_pod', question.payload());
  assert.equal(action, 'redirect');
  assert.equal(answer.ethernet?.destination, pod.mac);
  assert.deepEqual([answer.ipv6?.source, answer.ipv6?.destination], [gateway.ipv6, pod.ipv6]);
  assert.equal(answer.ipv6?.hopLimit, 255);
  assert.equal(answer.icmpv6?.checksumValid, true);
  assert.deepEqual(answer.icmpv6?.neighbour, {
    target: gateway.ipv6,
    router: true,
    solicited: true,
    override: true,
    targetMac: gateway.mac,
  });
});

test("duplicate detection of the gateway's address is answered to all nodes", () => {
  const question = frame
    .ipv6({ source: '::', destination: 'ff02::1:ff00:1', hopLimit: 255 })
    .neighbourSolicitation({ target: gateway.ipv6 });
  const { packet: answer } = bench.run('pod_from_pod', question.payload());
  assert.equal(answer.ipv6?.destination, 'ff02::1');
  assert.equal(answer.icmpv6?.neighbour?.solicited, false);
  assert.equal(answer.icmpv6?.checksumValid, true);
});

for (const [what, bytes] of [
  ['a router solicitation', frame.ipv6({ source: '::', destination: 'ff02::2', hopLimit: 255 }).icmpv6({ type: 133 })],
  ['an MLD report', frame.ipv6({ source: 'fe80::1', destination: 'ff02::16', hopLimit: 1 }).icmpv6({ type: 143 })],
  [
    'duplicate detection of its own address',
    frame
      .ipv6({ source: '::', destination: 'ff02::1:ff00:10', hopLimit: 255 })
      .neighbourSolicitation({ target: pod.ipv6 }),
  ],
  ['multicast DNS', frame.ipv4({ source: pod.ipv4, destination: '224.0.0.251', ttl: 255 }).udp()],
  ['an ARP announcement', frame.arp({ senderMac: pod.mac, senderAddress: pod.ipv4, targetAddress: pod.ipv4 })],
] as const) {
  test(`${what} of a pod goes to the host's stack and is no drop`, () => {
    const { action, drops } = bench.run('pod_from_pod', bytes.payload());
    assert.deepEqual([action, drops], ['ok', []]);
  });
}

for (const family of families) {
  test(`what the node's own stack may make of a damaged packet is its business (${family})`, () => {
    const toGateway = ip(family, { source: world[family], destination: gateway[family] });
    const { action, drops } = bench.run('netdev_from_network', toGateway.tcp({ flags: 'SF' }).payload());
    assert.deepEqual([action, drops], [TC_ACT_UNSPEC, []]);
  });
}

test('whether the address of a balancer is still here is asked of who announces it, and answered by the host', () => {
  const asked = frame
    .ipv6({ source: world.ipv6, destination: balancer.ipv6, hopLimit: 255 })
    .neighbourSolicitation({ target: balancer.ipv6 });
  const { action, drops } = bench.run('netdev_from_network', asked.payload());
  assert.deepEqual([action, drops], [TC_ACT_UNSPEC, []]);
});

for (const family of families) {
  test(`TCP to a service without backends gets a reset that the client believes (${family})`, () => {
    const segment = ip(family, { destination: service[family] }).tcp({ sourcePort: 4711, sequence: 1000, flags: 'S' });
    const { action, packet: answer } = bench.run('pod_from_pod', segment.payload());
    assert.equal(action, 'redirect');
    assert.deepEqual([answer[family]?.source, answer[family]?.destination], [service[family], pod[family]]);
    assert.equal(answer.ethernet?.destination, pod.mac);
    assert.deepEqual([answer.tcp?.sourcePort, answer.tcp?.destinationPort], [80, 4711]);
    assert.deepEqual([answer.tcp?.flags, answer.tcp?.acknowledgement], ['RA', 1001]);
    assert.equal(answer.tcp?.checksumValid, true);
    if (family === 'ipv4') assert.equal(answer.ipv4?.checksumValid, true);
  });

  test(`a segment of an old connection to such a service gets a reset with its number (${family})`, () => {
    const segment = ip(family, { destination: service[family] }).tcp({ acknowledgement: 77, flags: 'PA' });
    const { packet: answer } = bench.run('pod_from_pod', segment.payload('data'));
    assert.deepEqual([answer.tcp?.flags, answer.tcp?.sequence], ['R', 77]);
    assert.equal(answer.tcp?.checksumValid, true);
  });

  test(`a reset to a service without backends is not answered (${family})`, () => {
    const segment = ip(family, { destination: service[family] }).tcp({ flags: 'R' });
    assert.equal(bench.run('pod_from_pod', segment.payload()).action, 'drop');
  });

  for (const length of [0, 1, 33, 200]) {
    test(`UDP of ${length} bytes to a service without backends gets port unreachable (${family})`, () => {
      const datagram = ip(family, { destination: service[family] }).udp({ sourcePort: 4711, destinationPort: 80 });
      const { action, packet: answer } = bench.run('pod_from_pod', datagram.payload('x'.repeat(length)));
      assert.equal(action, 'redirect');
      const icmp = family === 'ipv4' ? answer.icmp : answer.icmpv6;
      assert.deepEqual([icmp?.type, icmp?.code], family === 'ipv4' ? [3, 3] : [1, 4]);
      assert.equal(icmp?.checksumValid, true);
      assert.equal(answer[family]?.source, service[family]);
      assert.equal(icmp?.embedded?.[family]?.destination, service[family]);
      assert.equal(icmp?.embedded?.udp?.sourcePort, 4711);
      if (family === 'ipv4') assert.equal(answer.ipv4?.checksumValid, true);
    });
  }

  for (const [program, client] of [
    ['pod_from_pod', pod],
    ['host_from_host', gateway],
  ] as const) {
    test(`echo to an address of a service is answered with all that it carries (${family}, ${program})`, () => {
      const echo = { identifier: 77, sequence: 5, code: 0 };
      const question = ip(family, { source: client[family], destination: service[family], ttl: 3 });
      const asked = family === 'ipv4' ? question.icmp({ type: 8, ...echo }) : question.icmpv6({ type: 128, ...echo });
      const { action, packet: answer, drops } = bench.run(program, asked.payload('odd data'));
      assert.deepEqual([action, drops], ['redirect', []]);
      assert.deepEqual([answer[family]?.source, answer[family]?.destination], [service[family], client[family]]);
      assert.deepEqual([answer.ethernet?.source, answer.ethernet?.destination], [gateway.mac, pod.mac]);
      const icmp = family === 'ipv4' ? answer.icmp : answer.icmpv6;
      assert.deepEqual([icmp?.type, icmp?.identifier, icmp?.sequence], [family === 'ipv4' ? 0 : 129, 77, 5]);
      assert.equal(icmp?.checksumValid, true);
      assert.equal(family === 'ipv4' ? answer.ipv4?.ttl : answer.ipv6?.hopLimit, 64);
      if (family === 'ipv4') assert.equal(answer.ipv4?.checksumValid, true);
      assert.equal(Buffer.from(answer.payload).toString(), 'odd data');
    });
  }

  test(`echo from outside is answered at an address of a load balancer, and at a ClusterIP it is not (${family})`, () => {
    const echo = (destination: string) => {
      const question = ip(family, { source: world[family], destination });
      return family === 'ipv4' ? question.icmp({ type: 8 }) : question.icmpv6({ type: 128 });
    };
    const { action, packet: answer } = bench.run('netdev_from_network', echo(balancer[family]).payload('x'));
    assert.deepEqual(
      [action, answer[family]?.source, answer[family]?.destination],
      ['redirect', balancer[family], world[family]],
    );
    assert.deepEqual([answer.ethernet?.source, answer.ethernet?.destination], [gateway.mac, pod.mac]);
    assert.equal((family === 'ipv4' ? answer.icmp : answer.icmpv6)?.checksumValid, true);
    const other = bench.run('netdev_from_network', echo(service[family]).payload('x'));
    assert.deepEqual([other.action, other.drops, other.packet[family]?.source], [TC_ACT_UNSPEC, [], world[family]]);
  });

  test(`what is routed to another node goes on, but for what a service has at that node's address (${family})`, () => {
    const node = family === 'ipv4' ? '10.10.30.77' : 'fd00:10:10:30::77';
    const address = parseAddress(node);
    bench.maps.ipcache.update(address, { tunnelEndpoint: undefined, identity: 6, flags: IpcacheFlag.Node, mtu: 0 });
    const backends = [{ id: 1 + families.indexOf(family), address: neighbour[family], port: 8080 }];
    const flags = FrontendFlag.External;
    const id = 50 + families.indexOf(family);
    writeService(bench.maps, { id, address, flags, port: 443, protocol: TCP, backends });
    const to = (destinationPort: number) =>
      bench.run(
        'netdev_from_network',
        ip(family, { source: world[family], destination: node }).tcp({ destinationPort, flags: 'S' }).payload(),
      );
    const served = to(443);
    assert.deepEqual([served.action, served.packet[family]?.destination], ['redirect', neighbour[family]]);
    const other = to(22);
    assert.deepEqual([other.action, other.drops, other.packet[family]?.destination], [TC_ACT_UNSPEC, [], node]);
  });

  test(`a packet on its last hop gets time exceeded from the gateway (${family})`, () => {
    const datagram = ip(family, { destination: neighbour[family], ttl: 1 }).udp({ sourcePort: 33434 });
    const { action, packet: answer } = bench.run('pod_from_pod', datagram.payload('traceroute'));
    assert.equal(action, 'redirect');
    const icmp = family === 'ipv4' ? answer.icmp : answer.icmpv6;
    assert.deepEqual([icmp?.type, icmp?.code], family === 'ipv4' ? [11, 0] : [3, 0]);
    assert.equal(answer[family]?.source, gateway[family]);
    assert.equal(icmp?.checksumValid, true);
    assert.equal(icmp?.embedded?.udp?.sourcePort, 33434);
  });

  test(`a packet to a pod of this node has its MACs and one hop less (${family})`, () => {
    const { action, packet: sent } = bench.run(
      'pod_from_pod',
      ip(family, { destination: neighbour[family] }).udp().payload(),
    );
    assert.equal(action, 'redirect');
    assert.deepEqual([sent.ethernet?.source, sent.ethernet?.destination], [gateway.mac, neighbour.mac]);
    assert.equal(family === 'ipv4' ? sent.ipv4?.ttl : sent.ipv6?.hopLimit, 63);
    if (family === 'ipv4') assert.equal(sent.ipv4?.checksumValid, true);
  });

  test(`a packet into the world goes to the host's stack with all its hops (${family})`, () => {
    const { action, packet: sent } = bench.run(
      'pod_from_pod',
      ip(family, { destination: world[family] }).udp().payload(),
    );
    assert.equal(action, 'redirect');
    assert.equal(sent.ethernet?.destination, gateway.mac);
    assert.equal(family === 'ipv4' ? sent.ipv4?.ttl : sent.ipv6?.hopLimit, 64);
  });

  test(`the host's question for any pod is answered (${family})`, () => {
    const asker = packet().ethernet({ source: parseMac('02:00:00:00:00:99') });
    const question =
      family === 'ipv4'
        ? asker.arp({
            senderMac: parseMac('02:00:00:00:00:99'),
            senderAddress: gateway.ipv4,
            targetAddress: remotePod.ipv4,
          })
        : asker
            .ipv6({ source: gateway.ipv6, destination: 'ff02::1:ff00:10', hopLimit: 255 })
            .neighbourSolicitation({ target: remotePod.ipv6 });
    const { packet: answer } = bench.run('host_from_host', question.payload());
    const mac = family === 'ipv4' ? answer.arp?.senderMac : answer.icmpv6?.neighbour?.targetMac;
    assert.equal(mac, gateway.mac);
  });
}

test('IPv4 options and IPv6 extension headers pass', () => {
  const options = new Uint8Array(8).fill(1);
  const withOptions = frame.ipv4({ source: pod.ipv4, destination: neighbour.ipv4, options }).tcp();
  const withExtensions = frame
    .ipv6({ source: pod.ipv6, destination: neighbour.ipv6, extensions: Array.from({ length: 6 }, () => extension) })
    .tcp();
  for (const builder of [withOptions, withExtensions]) {
    const { action, drops } = bench.run('pod_from_pod', builder.payload());
    assert.deepEqual([action, drops], ['redirect', []]);
  }
});

test('protocols without ports pass between pods by their addresses', () => {
  for (const protocol of [47, 50, 132]) {
    const bytes = frame
      .ipv4({ source: pod.ipv4, destination: neighbour.ipv4, protocol })
      .payload('sixteen bytes at least');
    assert.equal(bench.run('pod_from_pod', bytes).action, 'redirect');
  }
});

test('a fragment without ports is never answered', () => {
  const bytes = frame
    .ipv4({ source: pod.ipv4, destination: service.ipv4, fragmentOffset: 64, protocol: UDP })
    .payload('later part');
  assert.equal(bench.run('pod_from_pod', bytes).action, 'drop');
});

test('a family that is switched off is dropped as unknown', () => {
  using off = createBench({ ...configuration, ipv6Enabled: 0 });
  const { drops } = off.run('pod_from_pod', toNeighbour6.udp().payload());
  assert.deepEqual(
    drops.map((drop) => drop.reason),
    [DropReason.UnknownEthertype],
  );
  assert.equal(off.run('pod_from_pod', toNeighbour.udp().payload()).action, 'redirect');
});

test('a dry run decides alike and leaves no trace', () => {
  using dry = createBench({ ...configuration, dryRun: 1 });
  assert.equal(dry.run('pod_from_pod', toNeighbour.udp().payload()).action, 'redirect');
  const refused = dry.run('pod_from_pod', toNeighbour.tcp({ flags: '' }).payload());
  assert.deepEqual([refused.action, refused.drops], ['drop', []]);
  assert.equal(dry.maps.counters.count() + dry.maps.conntrackNew.count() + dry.maps.conntrack.count(), 0);
});
