/** What mutations begin with: sound packets of every kind that the programs know, from and to everybody they know. */
import {
  type Address,
  addressToWire,
  type Mac,
  macToBytes,
  type PacketBuilder,
  packet,
  parseAddress,
  parseMac,
} from '@sluice/net';
import { type DatapathMaps, EndpointFlag, FrontendFlag, IpcacheFlag } from '../../src/index.ts';
import { gateway, IFINDEX, neighbour, pod, remotePod } from '../programs.ts';
import { TCP, UDP, writeService } from '../services.ts';

type Family = 'ipv4' | 'ipv6';
type Families = Readonly<Record<Family, Address>>;

const families = (ipv4: string, ipv6: string): Families => ({ ipv4: parseAddress(ipv4), ipv6: parseAddress(ipv6) });
export const service = families('10.96.0.20', 'fd00:10:96::20');
export const world = families('192.0.2.1', '2001:db8::1');
/** For clients outside, whom the backend's node answers at two of its ports. */
const balancer = families('203.0.113.5', '2001:db8:113::5');
const nobody = families('10.244.1.200', 'fd00:10:244:1::200');

/** This node's address in the network, and another's. */
const lan = families('10.10.30.1', 'fd00:10:10:30::1');
const otherNode = families('10.10.30.2', 'fd00:10:10:30::2');

/** Rows beside those of the bench: services, nodes, and a device that faces the network. */
export function writeCorpusRows(maps: DatapathMaps): void {
  for (const [offset, family] of (['ipv4', 'ipv6'] as const).entries()) {
    const address = service[family];
    const backend = { id: offset + 1, address: neighbour[family], port: 8080 };
    const remote = { id: offset + 11, address: remotePod[family], port: 8080 };
    const own = { id: offset + 21, address: pod[family], port: 8080 };
    writeService(maps, { id: 1 + offset, address, port: 80, protocol: TCP, backends: [backend, remote, own] });
    writeService(maps, { id: 3 + offset, address, port: 53, protocol: UDP, backends: [remote], affinitySeconds: 60 });
    writeService(maps, { id: 5 + offset, address, port: 81, protocol: TCP, backends: [] });
    for (const [id, port, protocol, flags] of [
      [31, 80, TCP, FrontendFlag.Dsr],
      [33, 53, UDP, FrontendFlag.Dsr],
      [35, 81, TCP, 0],
    ] as const) {
      const at = { id: id + offset, address: balancer[family], port, protocol, flags: FrontendFlag.External | flags };
      writeService(maps, { ...at, backends: [{ ...remote, id: remote.id + id }] });
    }
    const node = { tunnelEndpoint: otherNode.ipv4, identity: 6, flags: IpcacheFlag.Node, mtu: 0 };
    maps.ipcache.update(otherNode[family], node);
    const host = { id: 0, ifindex: 0, identity: 1, flags: EndpointFlag.Host, mac: gateway.mac, nodeMac: gateway.mac };
    maps.endpoints.update(lan[family], host);
  }
  maps.devices.update(IFINDEX, lan);
}

const places = [pod, neighbour, remotePod, gateway, service, balancer, world, nobody, lan, otherNode];
const macs = ['02:00:00:00:00:10', '02:00:00:00:00:01', '01:00:5e:00:00:01', '33:33:00:00:00:01', 'ff:ff:ff:ff:ff:ff'];

/** Addresses and numbers as they stand on the wire, to be put into packets. */
export const wire = {
  ipv4: bytesOf([
    ...places.map(({ ipv4 }) => ipv4),
    ...addresses('0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '169.254.1.1'),
  ]),
  ipv6: [
    ...bytesOf([...places.map(({ ipv6 }) => ipv6), ...addresses('::1', 'ff02::1', 'ff02::2', 'fe80::1')]),
    new Uint8Array(16),
    // v4-mapped, which no address of ours can say.
    Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 10, 244, 1, 10),
  ],
  macs: macs.map((mac) => macToBytes(parseMac(mac))),
  ethertypes: [0x0800, 0x86dd, 0x0806, 0x8100, 0x88a8, 0x88cc, 0x0000, 0xffff],
  protocols: [0, 1, 2, 4, 6, 17, 41, 43, 44, 47, 50, 51, 58, 59, 60, 132, 135, 255],
  ports: [0, 53, 80, 81, 443, 8080, 8472, 40_000, 65_535],
} as const;

function addresses(...texts: readonly string[]): Address[] {
  return texts.map((text) => parseAddress(text));
}

function bytesOf(list: readonly Address[]): Uint8Array[] {
  return list.map((address) => addressToWire(address));
}

interface Sender {
  readonly mac: Mac;
  readonly at: Families;
}

const senders = {
  pod: { mac: pod.mac, at: pod },
  node: { mac: gateway.mac, at: gateway },
  remotePod: { mac: gateway.mac, at: remotePod },
  stranger: { mac: pod.mac, at: world },
  lan: { mac: gateway.mac, at: lan },
  otherNode: { mac: gateway.mac, at: otherNode },
} as const satisfies Readonly<Record<string, Sender>>;

/** Mostly those who send by the program's way, so that not all ends at the first check. */
function sendersFor(program: string): readonly Sender[] {
  const { pod, node, remotePod, stranger, lan, otherNode } = senders;
  if (program.includes('from_pod')) return [pod, pod, pod, pod, pod, node, remotePod, stranger];
  if (program.includes('overlay')) return [remotePod, remotePod, remotePod, remotePod, pod, node, stranger];
  if (program.includes('to_network')) return [pod, pod, pod, lan, lan, node, otherNode, remotePod];
  if (program.includes('from_network')) return [stranger, stranger, otherNode, lan, pod];
  return [node, node, lan, remotePod, pod, stranger];
}

export function corpus(program: string): Uint8Array[] {
  return [...sent(program), ...told()];
}

/** By one node to another: whom a client in the world has asked. From anybody else it is forged. */
function told(): Uint8Array[] {
  const option = Uint8Array.of(0x9a, 8, 0, 80, ...addressToWire(balancer.ipv4));
  const data = Uint8Array.of(0x1b, 18, ...addressToWire(balancer.ipv6), 0, 80, 1, 0);
  const more = { kind: 'destinationOptions', data: new Uint8Array(6) } as const;
  const frame = packet().ethernet({ source: gateway.mac, destination: gateway.mac });
  return [
    frame.ipv4({ source: world.ipv4, destination: pod.ipv4, options: option }),
    frame.ipv4({ source: world.ipv4, destination: pod.ipv4, options: Uint8Array.of(...option, 1, 1, 1, 0) }),
    frame.ipv6({
      ...{ source: world.ipv6, destination: pod.ipv6 },
      extensions: [{ kind: 'destinationOptions', data }],
    }),
    frame.ipv6({
      ...{ source: world.ipv6, destination: pod.ipv6 },
      extensions: [{ kind: 'destinationOptions', data }, more],
    }),
  ].flatMap(transports);
}

function sent(program: string): Uint8Array[] {
  return sendersFor(program).flatMap(({ mac, at }) =>
    (['ipv4', 'ipv6'] as const).flatMap((family) => [
      ...places.flatMap((to) => transports(ip(mac, family, { source: at[family], destination: to[family] }))),
      ...special(mac, family, at[family]),
    ]),
  );
}

interface Ends {
  readonly source: Address;
  readonly destination: Address;
}

function ip(mac: Mac, family: Family, { source, destination }: Ends): PacketBuilder {
  const frame = packet().ethernet({ source: mac, destination: gateway.mac });
  return family === 'ipv4' ? frame.ipv4({ source, destination }) : frame.ipv6({ source, destination });
}

function transports(builder: PacketBuilder): Uint8Array[] {
  const ports = { sourcePort: 40_000, destinationPort: 80 };
  return [
    builder.tcp(ports).payload(),
    builder
      .tcp({ ...ports, flags: 'A', options: Uint8Array.of(1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1) })
      .payload('x'.repeat(200)),
    builder.tcp({ ...ports, destinationPort: 81, flags: 'FA' }).payload(),
    builder.udp({ ...ports, destinationPort: 53 }).payload('question'),
    builder
      .udp({ ...ports, destinationPort: 8472 })
      .vxlan({ vni: 7 })
      .ethernet()
      .ipv4()
      .udp()
      .payload('inner'),
  ];
}

function special(mac: Mac, family: Family, source: Address): Uint8Array[] {
  const frame = packet().ethernet({ source: mac, destination: gateway.mac });
  return family === 'ipv4' ? special4(frame, mac, source) : special6(frame, mac, source);
}

function special4(frame: PacketBuilder, mac: Mac, source: Address): Uint8Array[] {
  const destination = neighbour.ipv4;
  const quoted = packet()
    .ipv4({ source: destination, destination: source })
    .udp({ sourcePort: 80, destinationPort: 40_000 });
  const unreachable = { type: 3, code: 3 };
  return [
    frame.arp({ senderMac: mac, senderAddress: source, targetAddress: gateway.ipv4 }).payload(),
    frame.arp({ operation: 2, senderMac: mac, senderAddress: source, targetAddress: gateway.ipv4 }).payload(),
    frame.ipv4({ source, destination }).icmp({ identifier: 7, sequence: 1 }).payload('ping'),
    frame.ipv4({ source, destination }).icmp(unreachable).payload(quoted.payload('x')),
    frame
      .ipv4({ source, destination, options: Uint8Array.of(0x94, 4, 0, 0) })
      .udp()
      .payload('router alert'),
    frame.ipv4({ source, destination, moreFragments: true }).udp({ length: 3008 }).payload('x'.repeat(1472)),
    frame.ipv4({ source, destination, protocol: 17, fragmentOffset: 1480 }).payload('x'.repeat(1480)),
    frame.ipv4({ source, destination, ttl: 1 }).udp().payload('last hop'),
    frame.ipv4({ source, destination, protocol: 132 }).payload(new Uint8Array(32)),
    frame.ipv4({ source, destination, dontFragment: true }).udp().payload('x'.repeat(3000)),
    frame.ethernet({ etherType: 0x8100 }).payload(new Uint8Array(40)),
  ];
}

function special6(frame: PacketBuilder, mac: Mac, source: Address): Uint8Array[] {
  const destination = neighbour.ipv6;
  const quoted = packet()
    .ipv6({ source: destination, destination: source })
    .udp({ sourcePort: 80, destinationPort: 40_000 });
  const options = { kind: 'destinationOptions', data: new Uint8Array(6) } as const;
  const fragment = (offset: number) => ({ kind: 'fragment', offset, more: offset === 0, identification: 7 }) as const;
  const chain = Array.from({ length: 5 }, () => options);
  return [
    frame
      .ipv6({ source, destination: gateway.ipv6 })
      .neighbourSolicitation({ target: gateway.ipv6, sourceMac: mac })
      .payload(),
    frame
      .ipv6({ source, destination: gateway.ipv6 })
      .neighbourAdvertisement({ target: source, targetMac: mac })
      .payload(),
    frame.ipv6({ source, destination }).icmpv6({ identifier: 7, sequence: 1 }).payload('ping'),
    frame.ipv6({ source, destination }).icmpv6({ type: 1, code: 4 }).payload(quoted.payload('x')),
    frame.ipv6({ source, destination }).icmpv6({ type: 2 }).payload(quoted.payload('x')),
    frame
      .ipv6({ source, destination, extensions: [options] })
      .tcp()
      .payload(),
    frame.ipv6({ source, destination, extensions: chain }).udp().payload('deep'),
    frame
      .ipv6({ source, destination, extensions: [fragment(0)] })
      .udp({ length: 3008 })
      .payload('x'.repeat(1400)),
    frame.ipv6({ source, destination, protocol: 17, extensions: [fragment(1408)] }).payload('x'.repeat(1400)),
    frame.ipv6({ source, destination, hopLimit: 1 }).udp().payload('last hop'),
    frame.ipv6({ source, destination }).udp().payload('x'.repeat(3000)),
  ];
}
