import { DropReason } from './generated/enums.ts';

export interface DropReasonText {
  /** What happened, as a person reads it. */
  readonly text: string;
  /** What to look at. */
  readonly hint: string;
}

/** Not every counter is one of drops: these packets went on. The parameter is what a counter's key says. */
export function isDrop(reason: number): boolean {
  return reason !== DropReason.Forwarded && reason !== DropReason.CtCreateFailed;
}

/** A reason without a text is a type error: the compiler names what a new one in C still lacks. */
export const dropReasonText: Readonly<Record<DropReason, DropReasonText>> = {
  [DropReason.Forwarded]: { text: 'forwarded', hint: 'no drop: counts the packets that went on' },
  [DropReason.InvalidPacket]: {
    text: 'invalid packet',
    hint: 'it ends before its headers do, or its lengths contradict each other: look at the sender',
  },
  [DropReason.UnknownEthertype]: {
    text: 'unknown ethertype',
    hint: 'neither ARP, IPv4 nor IPv6, VLAN-tagged, or of a family that is switched off (ipv4.enabled, ipv6.enabled)',
  },
  [DropReason.UnknownProtocol]: {
    text: 'unknown protocol',
    hint: 'more than 6 IPv6 extension headers before the upper-layer protocol',
  },
  [DropReason.InvalidSourceAddress]: {
    text: 'invalid source address',
    hint: 'a pod sent from an address that is not its own ("sluice endpoint list" shows which it has), or somebody on the network claims one of the cluster, or asks a service from one that no host has',
  },
  [DropReason.InvalidSourceMac]: {
    text: 'invalid source MAC',
    hint: 'the pod sent from a MAC that is not its own: was its interface changed after it was added?',
  },
  [DropReason.MappedAddress]: {
    text: 'v4-mapped address on the wire',
    hint: '::ffff:0:0/96 is for sockets only (RFC 4942); the sender should use IPv4',
  },
  [DropReason.InvalidTcpFlags]: {
    text: 'invalid TCP flags',
    hint: 'a combination that no TCP sends: a port scan, or a damaged packet',
  },
  [DropReason.StaleOrUnroutable]: {
    text: 'stale or unroutable address',
    hint: 'nobody has this address here: the pod is gone and a peer still sends, no Service has this ClusterIP, or a route points to this node wrongly',
  },
  [DropReason.NoTunnelKey]: {
    text: 'no tunnel key',
    hint: 'a packet on sluice_vxlan without tunnel metadata: the device must be in external mode',
  },
  [DropReason.EncapFailed]: {
    text: 'encapsulation failed',
    hint: 'the kernel had no memory for the tunnel header; or, of a service with DSR, more than 32 bytes of IP options came where none had been',
  },
  [DropReason.InvalidIdentity]: {
    text: 'invalid identity',
    hint: 'no identity, or more than the 24 bits of a VNI: another VXLAN on this port, or an endpoint without identity',
  },
  [DropReason.TtlExceeded]: {
    text: 'TTL exceeded',
    hint: 'normal for traceroute; otherwise a routing loop',
  },
  [DropReason.CtCreateFailed]: {
    text: 'connection not tracked',
    hint: 'counted only, the packets were forwarded: conntrack is full, "sluice map list" shows how many connections there are',
  },
  [DropReason.NoBackend]: {
    text: 'service has no backend',
    hint: 'no ready endpoint, or a port that the service does not have: "sluice service list"; the sender was told',
  },
  [DropReason.ServiceNotTranslated]: {
    text: 'service not served',
    hint: 'neither TCP, UDP nor a whole ping, or from outside the cluster, where ClusterIPs do not serve',
  },
  [DropReason.WriteFailed]: { text: 'packet not writable', hint: 'the kernel had no memory to copy the packet' },
  [DropReason.FragmentUnsupported]: {
    text: 'fragment without its first',
    hint: 'its addresses must be translated, and the fragment that holds the ports did not come before it',
  },
  [DropReason.InvalidNeighbourRequest]: {
    text: 'invalid neighbour request',
    hint: 'ARP or NDP for another address than the gateway (pods reach each other through it), malformed, or a router advertisement',
  },
  [DropReason.TooBig]: {
    text: 'packet too big for the tunnel',
    hint: "the sender was told the MTU; compare the pod's MTU with that of sluice_vxlan",
  },
  [DropReason.NatExhausted]: {
    text: 'no port left for masquerading',
    hint: 'too many connections to one destination: "sluice nat top" shows whose they are',
  },
  [DropReason.NoMasqueradeAddress]: {
    text: 'no address of this family on the device to masquerade with',
    hint: 'give the device one ("ip address add"), route the pods\' packets by another, or switch enableIPv4Masquerade or enableIPv6Masquerade off where the network routes to pods',
  },
  [DropReason.NotTracked]: {
    text: 'connection not remembered, though it must be translated',
    hint: 'a packet in the middle of a connection that is not known: it began before Sluice was installed, or was forgotten; many of them: conntrack is full, "sluice map list" shows how many connections there are',
  },
  [DropReason.NatConflict]: {
    text: 'connection ambiguous after translation',
    hint: 'the client has another connection from the same port to the same backend, and this one can be given no other port: its backend, on another node, answers it itself (DSR); its next attempt uses another one',
  },
  [DropReason.NatUnsupported]: {
    text: 'protocol cannot be translated',
    hint: 'it has no port that could be changed (SCTP, GRE, ESP), and another pod speaks it to the same destination already',
  },
  [DropReason.NoRoute]: {
    text: 'no route',
    hint: 'the node\'s routes say unreachable, prohibit or blackhole for this destination: "ip route get" on the node',
  },
  [DropReason.NoLocalBackend]: {
    text: 'no backend of the service on this node',
    hint: 'externalTrafficPolicy or internalTrafficPolicy is Local, and all ready endpoints are on other nodes: "sluice service list" shows them',
  },
  [DropReason.ClientNotAllowed]: {
    text: 'client is not of the ranges that the service allows',
    hint: 'spec.loadBalancerSourceRanges of the Service names who may come in, pods and nodes of the cluster too; "sluice service list" shows them',
  },
  [DropReason.ForgedDsrOption]: {
    text: 'forged DSR option',
    hint: 'the sender put in the option by which nodes tell each other of a service (IPv4 option 26, IPv6 destination option 0x1b): nobody but a node may',
  },
  [DropReason.TablesTakenOver]: {
    text: 'connection not known yet: an upgrade takes the tables over',
    hint: 'it began within the last moments before this version came, and its packets wait until its row has come as well: TCP sends them again. More than a second of them, look at the log of the agent',
  },
  [DropReason.LoopbackAddress]: {
    text: 'loopback address on a wire',
    hint: 'somebody on the network, or a pod, asks for what listens at 127.0.0.1 or ::1 of this node, or claims to be there: nobody may. "sysctl net.ipv4.conf.all.route_localnet" should be 0',
  },
  [DropReason.PortOfService]: {
    text: 'a process of the node asked for the port of a service',
    hint: 'bind() failed with EADDRINUSE: "sluice service list" shows who has the port as NodePort, host port or external address; nodePort.bindProtection: false lets processes have it, and nobody reaches them there',
  },
  [DropReason.InvalidTunnelSender]: {
    text: "tunneled from an address that is no node's",
    hint: 'a pod or a foreign machine sends VXLAN to this node, or a node sends from an address that its Node object lacks: "sluice node list"',
  },
};
