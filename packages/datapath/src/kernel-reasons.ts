import type { Btf } from '@sluice/bpf';
import type { DropReasonText } from './drop-reasons.ts';

/** The running kernel's reasons for dropping a packet: their numbers differ from version to version. */
export interface KernelReasons {
  /** `NEIGH_FAILED`; for a subsystem of its own `OPENVSWITCH 3`. */
  nameOf(reason: number): string;
  /** Undefined where this kernel has no such reason. */
  numberOf(name: string): number | undefined;
  readonly names: readonly string[];
  /** Those that are no loss on our way. */
  readonly ignored: readonly number[];
}

/** What is asked of the kernel's BTF. */
export type KernelTypes = Pick<Btf, 'find' | 'type'>;

const PREFIX = /^SKB_(DROP_REASON_)?(SUBSYS_)?/;
/** A reason's upper half is the subsystem that gave it, 0 the network's core. */
const SUBSYSTEM_BITS = 16;

export function readKernelReasons(kernelBtf: KernelTypes): KernelReasons {
  const core = enumValues(kernelBtf, 'skb_drop_reason');
  const subsystems = enumValues(kernelBtf, 'skb_drop_reason_subsys');
  const numbers = new Map([...core].map(([number, name]) => [name, number]));
  return {
    nameOf(reason) {
      const subsystem = reason >>> SUBSYSTEM_BITS;
      if (subsystem === 0) return core.get(reason) ?? `reason ${reason}`;
      return `${subsystems.get(subsystem) ?? `subsystem ${subsystem}`} ${reason & ((1 << SUBSYSTEM_BITS) - 1)}`;
    },
    numberOf: (name) => numbers.get(name),
    names: [...numbers.keys()],
    ignored: [...core].flatMap(([number, name]) => (isIgnored(name) ? [number] : [])),
  };
}

function enumValues(btf: KernelTypes, name: string): Map<number, string> {
  const values = btf.find(name, ['enum']).flatMap((id) => {
    const type = btf.type(id);
    return type.kind === 'enum' ? type.values : [];
  });
  return new Map(values.map((value) => [Number(value.value), value.name.replace(PREFIX, '')]));
}

/**
 * - No drop at all: NOT_DROPPED_YET, CONSUMED.
 * - It arrived, and its socket or the transport protocol did not want it: a closed port, a reader that is too slow, a
 *   segment that came twice. That is between sender and receiver, who both know. Wrong checksums stay in: we may have
 *   damaged them.
 * - Copies that somebody who watches (tcpdump) did not take, and queues of sockets that were closed.
 * - Said to others: OTHERHOST is decided by the device, see kfree.bpf.c.
 */
function isIgnored(name: string): boolean {
  if (name === 'TCP_CSUM') return false;
  return ignoredNames.has(name) || /^(TCP|SOCKET|UNIX)_/.test(name);
}

const ignoredNames: ReadonlySet<string> = new Set([
  'NOT_DROPPED_YET',
  'CONSUMED',
  'NO_SOCKET',
  'IP_NOPROTO',
  'QUEUE_PURGE',
  'PACKET_SOCK_ERROR',
  'UNICAST_IN_L2_MULTICAST',
  'IPV6_NDISC_NS_OTHERHOST',
]);

/** For people. `functionName`: the kernel's code that dropped the packet; all there is to say where it gave no reason. */
export function kernelReasonText(name: string, functionName: string | undefined): DropReasonText {
  if (name !== 'NOT_SPECIFIED') {
    const known = texts[name];
    if (known !== undefined) return { text: `${known[0]} [${name}]`, hint: known[1] };
    const words = name.toLowerCase().replaceAll('_', ' ');
    return { text: `${words} [${name}]`, hint: 'the kernel says so: see enum skb_drop_reason in its documentation' };
  }
  const known = functionName === undefined ? undefined : functions[functionName];
  return {
    text: `dropped by the kernel in ${functionName ?? 'an unknown place'}`,
    hint: known ?? 'this kernel gives no reason there: the name of its function is all that is known',
  };
}

const neighbour =
  'nobody answers ARP or NDP for the next hop: is that machine up and on this network? "ip neigh" on the node';
const checksum =
  'damaged on its way, or a device that computes checksums and does not: "ethtool -K DEVICE tx off" to try';
const reversePath =
  'the kernel would answer by another device: a second route to the sender, or net.ipv4.conf.*.rp_filter is strict';
const noRoute = 'the node has no route to the destination: "ip route get ADDRESS" on the node';
const queue = 'the device is sent more than it can take: look at its speed and "tc -s qdisc show dev DEVICE"';

const texts: Readonly<Record<string, readonly [text: string, hint: string]>> = {
  BPF_CGROUP_EGRESS: ['refused by a BPF program of a cgroup', 'another program than ours: "bpftool cgroup tree"'],
  CPU_BACKLOG: ['CPU backlog full', 'packets come faster than a CPU can take: net.core.netdev_max_backlog'],
  DEV_HDR: ['no link header', 'the device could not make the header: is it up?'],
  DEV_READY: ['device not ready', 'the device is down or has no carrier'],
  FRAG_REASM_TIMEOUT: ['fragments incomplete', 'one part of the packet was lost on its way here'],
  FULL_RING: ['ring of the device full', queue],
  HDR_TRUNC: ['header cut off', 'the packet ends before its headers do: look at the sender'],
  ICMP_CSUM: ['wrong ICMP checksum', checksum],
  IP_CSUM: ['wrong IP checksum', checksum],
  IP_INADDRERRORS: ['address not for forwarding', noRoute],
  IP_INHDR: ['bad IP header', 'look at the sender, or at what stands between'],
  IP_INNOROUTES: ['no route', noRoute],
  IP_INVALID_DEST: ['invalid destination address', 'no packet may go there: look at the sender'],
  IP_INVALID_SOURCE: ['invalid source address', 'no packet may come from there: look at the sender'],
  IP_LOCALNET: ['loopback address from outside', 'addresses of 127.0.0.0/8 stay on their machine'],
  IP_LOCAL_SOURCE: ['own address as source', 'somebody else uses an address of this node'],
  IP_OUTNOROUTES: ['no route', noRoute],
  IP_RPFILTER: ['reverse path filter', reversePath],
  IPV6_BAD_EXTHDR: ['bad IPv6 extension header', 'look at the sender'],
  IPV6DISABLED: ['IPv6 is off on the device', 'net.ipv6.conf.DEVICE.disable_ipv6 is 1'],
  NEIGH_CREATEFAIL: ['neighbour table full', 'net.ipv4.neigh.default.gc_thresh3 (or ipv6) is reached'],
  NEIGH_FAILED: ['neighbour does not answer', neighbour],
  NEIGH_QUEUEFULL: ['too many packets wait for a neighbour', neighbour],
  NETFILTER_DROP: ['dropped by a foreign firewall rule', 'we have no rules: "nft list ruleset" shows whose it is'],
  NO_TX_TARGET: ['nobody to send to', 'the device has no peer or port for it'],
  NOMEM: ['no memory', 'the kernel had no memory for the packet'],
  OTHERHOST: ['not to our MAC', 'the frame is addressed to another machine, and came in by a device of ours'],
  PKT_TOO_BIG: ['bigger than the MTU', 'the sender was told, unless ICMP is filtered on the way'],
  PKT_TOO_SMALL: ['too short', 'the packet ends before its headers do: look at the sender'],
  PROTO_MEM: ['memory of sockets exhausted', 'net.ipv4.udp_mem or tcp_mem is reached'],
  QDISC_CONGESTED: ['queue congested', queue],
  QDISC_DROP: ['queue full', queue],
  QDISC_OVERLIMIT: ['queue over its limit', queue],
  SECURITY_HOOK: ['refused by a security module', 'SELinux, AppArmor or the like: look at the audit log'],
  SKB_CSUM: ['wrong checksum', checksum],
  SKB_GSO_SEG: ['packet could not be cut into segments', 'an offload that the device lacks: "ethtool -k DEVICE"'],
  TC_EGRESS: ['dropped by another program at egress', 'not ours: "tc filter show dev DEVICE egress", "bpftool net"'],
  TC_INGRESS: ['dropped by another program at ingress', 'not ours: "tc filter show dev DEVICE ingress", "bpftool net"'],
  TCP_CSUM: ['wrong TCP checksum', checksum],
  TUNNEL_TXINFO: [
    'no tunnel destination',
    'a packet on the tunnel device without metadata: something else sends there',
  ],
  UDP_CSUM: ['wrong UDP checksum', checksum],
  UNHANDLED_PROTO: ['unknown ethertype', 'nothing on this machine takes such frames'],
  VXLAN_INVALID_HDR: ['bad VXLAN header', 'something else than VXLAN comes to the tunnel port'],
  VXLAN_VNI_NOT_FOUND: ['unknown VXLAN', 'another VXLAN uses the same port'],
  XDP: ['dropped by an XDP program', '"bpftool net" shows whose it is'],
  XFRM_POLICY: ['refused by an IPsec policy', '"ip xfrm policy" on the node'],
};

/** Reasons that have a text of ours. */
export const explainedReasons: readonly string[] = Object.keys(texts);

const deviceDown = 'the device that it was sent to is down or gone';

/** Where kernels give no reason and what that means most of the time. */
const functions: Readonly<Record<string, string>> = {
  __bpf_redirect: deviceDown,
  __dev_queue_xmit: deviceDown,
  __neigh_event_send: neighbour,
  neigh_invalidate: neighbour,
  skb_do_redirect: deviceDown,
  tcf_mirred_act: deviceDown,
  veth_xmit: `the other end of the pair is down or gone, or takes packets too slowly`,
  vxlan_xmit_one: 'no route to the other node, or its packets would go round in circles',
};
