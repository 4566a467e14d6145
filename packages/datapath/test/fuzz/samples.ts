/** Plain packets of a connection that was seen: what mutations of its frames begin with. */
import { type Packet, type PacketBuilder, packet } from '@sluice/net';

export function plainRequest(sample: Packet): Uint8Array {
  return withContent(packet().ethernet(sample.ethernet), sample);
}

/** In the tunnel's packet, whose UDP has no checksum over IPv4. */
export function plainAnswer({ ethernet, ipv4, ipv6, vxlan }: Packet): Uint8Array {
  if (vxlan === undefined) throw new TypeError('an answer comes by the tunnel');
  const frame = packet().ethernet(ethernet);
  const network = ipv4
    ? frame.ipv4({ source: ipv4.source, destination: ipv4.destination })
    : frame.ipv6({ source: ipv6?.source ?? '', destination: ipv6?.destination ?? '' });
  const outer = network.udp({ sourcePort: 50_000, destinationPort: 8472, ...(ipv4 && { checksum: 0 }) });
  return withContent(outer.vxlan({ vni: vxlan.vni }).ethernet(vxlan.inner.ethernet), vxlan.inner);
}

function withContent(frame: PacketBuilder, { ipv4, ipv6, tcp, udp }: Packet): Uint8Array {
  const network = ipv4
    ? frame.ipv4({ source: ipv4.source, destination: ipv4.destination })
    : frame.ipv6({ source: ipv6?.source ?? '', destination: ipv6?.destination ?? '' });
  const ports = tcp ?? udp;
  const ends = { sourcePort: ports?.sourcePort ?? 0, destinationPort: ports?.destinationPort ?? 0 };
  const content = 'what it is about';
  return tcp ? network.tcp({ ...ends, flags: 'PA' }).payload(content) : network.udp(ends).payload(content);
}
