/*
 * The packet context: what the steps know about a packet, and the parsing that fills it.
 *
 * Headers are copied to the stack by bpf_skb_load_bytes, never read in place: it reaches into fragments of GSO packets,
 * takes variable offsets (IPv4 options, IPv6 extension headers) and survives everything that moves the packet's data.
 *
 * packet_parse, ndp_answer_*, ct_track, drop_report and reject_answer are global functions: the verifier checks each
 * once, by itself. Inlined, what is known of each packet multiplies through all steps ("BPF program is too
 * large", 6.18). They take the socket buffer beside the context, because a context pointer must not be stored in
 * memory, and ask for NULL, because a global function's caller is anybody.
 */
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "config.h"
#include "icmp.h"
#include "limits.h"
#include "tuple.h"
#include "verdict.h"

/* Every device of ours is an Ethernet device, and VLAN tags are refused: the network header stands at a fixed place. */
#define NETWORK_OFFSET ETH_HLEN

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_DONT_FRAGMENT 0x4000

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_URG 0x20

enum fragment {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1,
	/* Without ports: the transport header was in the first. */
	FRAGMENT_LATER = 2,
};

struct packet {
	struct tuple tuple;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 endpoint_id;
	/* See drop(). */
	__u32 line;
	/* Of the transport header, and of the first byte behind the network packet. */
	__u32 transport_offset;
	__u32 end_offset;
	struct mac destination_mac;
	struct mac source_mac;
	__be16 ethertype;
	/* enum direction, seen from the pod */
	__u8 direction;
	/* enum trace_point */
	__u8 trace_point;
	/* enum fragment */
	__u8 fragment;
	/* TTL or hop limit */
	__u8 hop_limit;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	/* An ICMP error speaks of another packet, whose beginning it carries. */
	__u8 is_icmp_error;
	__u8 dont_fragment;
	/* IPCACHE_FLAG_UNROUTABLE of the destination. */
	__u8 is_unroutable;
	__u8 reserved[4];
};

static __always_inline bool packet_is_ipv4(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_IP);
}

static __always_inline bool packet_is_arp(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_ARP);
}

static __always_inline bool packet_is_icmpv6(const struct packet *packet)
{
	return !packet_is_ipv4(packet) && packet->tuple.protocol == IPPROTO_ICMPV6 &&
	       packet->fragment != FRAGMENT_LATER;
}

/* False: the packet ends before. */
static __always_inline bool packet_load(struct __sk_buff *skb, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes(skb, offset, to, length) == 0;
}

static __always_inline verdict_t packet_parse_ethernet(struct __sk_buff *skb, struct packet *packet)
{
	struct ethhdr header;

	if (!packet_load(skb, 0, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	__builtin_memcpy(&packet->destination_mac, header.h_dest, sizeof(struct mac));
	__builtin_memcpy(&packet->source_mac, header.h_source, sizeof(struct mac));
	packet->ethertype = header.h_proto;
	/* A tag that the sender's device has "offloaded" stands beside the packet, not in it. */
	if (skb->vlan_present)
		return drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct iphdr header;
	__u32 header_length, total_length, available = skb->len - NETWORK_OFFSET;
	__u16 fragment;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	header_length = header.ihl * 4;
	total_length = bpf_ntohs(header.tot_len);
	/* BIG TCP (6.3) writes 0 for a GSO packet of more than 64 KiB. */
	if (total_length == 0 && skb->gso_size != 0)
		total_length = available;
	if (header.version != 4 || header_length < sizeof(header) || total_length < header_length ||
	    total_length > available)
		return drop(packet, DROP_REASON_INVALID_PACKET);

	fragment = bpf_ntohs(header.frag_off);
	if (fragment & IPV4_FRAGMENT_OFFSET)
		packet->fragment = FRAGMENT_LATER;
	else if (fragment & IPV4_MORE_FRAGMENTS)
		packet->fragment = FRAGMENT_FIRST;
	packet->dont_fragment = (fragment & IPV4_DONT_FRAGMENT) != 0;
	packet->tuple.source = address_from_ipv4(header.saddr);
	packet->tuple.destination = address_from_ipv4(header.daddr);
	packet->tuple.protocol = header.protocol;
	packet->hop_limit = header.ttl;
	packet->transport_offset = NETWORK_OFFSET + header_length;
	packet->end_offset = NETWORK_OFFSET + total_length;
	return VERDICT_CONTINUE;
}

/* A header of the chain: the next one's protocol, and its own length (RFC 8200 4). */
struct ipv6_extension {
	__u8 next;
	__u8 length;
	__be16 fragment_offset;
};

static __always_inline bool ipv6_is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH;
}

static __always_inline verdict_t packet_parse_ipv6_extensions(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6_extension extension;
	__u8 protocol = packet->tuple.protocol;

	for (int i = 0; i <= IPV6_EXTENSIONS_MAX; i++) {
		if (!ipv6_is_extension(protocol) || packet->fragment == FRAGMENT_LATER) {
			packet->tuple.protocol = protocol;
			return VERDICT_CONTINUE;
		}
		if (!packet_load(skb, packet->transport_offset, &extension, sizeof(extension)))
			return drop(packet, DROP_REASON_INVALID_PACKET);
		if (protocol == IPPROTO_FRAGMENT) {
			packet->transport_offset += 8;
			if (extension.fragment_offset & bpf_htons(0xfff8))
				packet->fragment = FRAGMENT_LATER;
			else if (extension.fragment_offset & bpf_htons(1))
				packet->fragment = FRAGMENT_FIRST;
		} else if (protocol == IPPROTO_AH) {
			packet->transport_offset += (extension.length + 2) * 4; /* RFC 4302 2.2 */
		} else {
			packet->transport_offset += (extension.length + 1) * 8;
		}
		protocol = extension.next;
		if (packet->transport_offset > packet->end_offset)
			return drop(packet, DROP_REASON_INVALID_PACKET);
	}
	return drop(packet, DROP_REASON_UNKNOWN_PROTOCOL);
}

static __always_inline verdict_t packet_parse_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct ipv6hdr header;
	__u32 available = skb->len - NETWORK_OFFSET, total_length;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	total_length = sizeof(header) + bpf_ntohs(header.payload_len);
	/* A jumbogram of BIG TCP (5.19) has length 0; nobody else may send one to us. */
	if (header.payload_len == 0 && skb->gso_size != 0)
		total_length = available;
	if (header.version != 6 || total_length > available)
		return drop(packet, DROP_REASON_INVALID_PACKET);

	__builtin_memcpy(&packet->tuple.source, &header.saddr, sizeof(struct address));
	__builtin_memcpy(&packet->tuple.destination, &header.daddr, sizeof(struct address));
	packet->tuple.protocol = header.nexthdr;
	packet->dont_fragment = 1;
	packet->hop_limit = header.hop_limit;
	packet->transport_offset = NETWORK_OFFSET + sizeof(header);
	packet->end_offset = NETWORK_OFFSET + total_length;
	/* On the wire it would alias an IPv4 address in our maps (RFC 4942 2.2). */
	if (address_is_ipv4(&packet->tuple.source) || address_is_ipv4(&packet->tuple.destination))
		return drop(packet, DROP_REASON_MAPPED_ADDRESS);
	return packet_parse_ipv6_extensions(skb, packet);
}

/* The combinations that a TCP can send, PSH, ECE and CWR left aside: as the kernel's own conntrack has them. */
static __always_inline bool tcp_flags_are_valid(__u8 flags)
{
	switch (flags & (TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK | TCP_FLAG_URG)) {
	case TCP_FLAG_SYN:
	case TCP_FLAG_SYN | TCP_FLAG_URG:
	case TCP_FLAG_SYN | TCP_FLAG_ACK:
	case TCP_FLAG_RST:
	case TCP_FLAG_RST | TCP_FLAG_ACK:
	case TCP_FLAG_FIN | TCP_FLAG_ACK:
	case TCP_FLAG_FIN | TCP_FLAG_ACK | TCP_FLAG_URG:
	case TCP_FLAG_ACK:
	case TCP_FLAG_ACK | TCP_FLAG_URG:
		return true;
	}
	return false;
}

static __always_inline verdict_t packet_parse_tcp(struct __sk_buff *skb, struct packet *packet)
{
	/* Ports, sequence and acknowledgement numbers, data offset, flags. */
	struct {
		__be16 source;
		__be16 destination;
		__be32 numbers[2];
		__u8 data_offset;
		__u8 flags;
		__be16 window;
	} header;
	__u32 available = packet->end_offset - packet->transport_offset, length;

	if (available < sizeof(struct tcphdr) || !packet_load(skb, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	length = (header.data_offset >> 4) * 4;
	if (length < sizeof(struct tcphdr) || (length > available && packet->fragment == FRAGMENT_NONE))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = header.source;
	packet->tuple.destination_port = header.destination;
	packet->tcp_flags = header.flags;
	if (!tcp_flags_are_valid(header.flags))
		return drop(packet, DROP_REASON_INVALID_TCP_FLAGS);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_udp(struct __sk_buff *skb, struct packet *packet)
{
	struct udphdr header;
	__u32 available = packet->end_offset - packet->transport_offset, length;

	if (available < sizeof(header) || !packet_load(skb, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	length = bpf_ntohs(header.len);
	/* The first fragment carries the length of the whole datagram. */
	if (length < sizeof(header) || (length > available && packet->fragment == FRAGMENT_NONE))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = header.source;
	packet->tuple.destination_port = header.dest;
	return VERDICT_CONTINUE;
}

/* Ports where TCP has them, then tag and checksum; nothing else of SCTP concerns us. */
static __always_inline verdict_t packet_parse_sctp(struct __sk_buff *skb, struct packet *packet)
{
	__be16 ports[2];

	if (packet->end_offset - packet->transport_offset < 12 ||
	    !packet_load(skb, packet->transport_offset, ports, sizeof(ports)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = ports[0];
	packet->tuple.destination_port = ports[1];
	return VERDICT_CONTINUE;
}

static __always_inline void packet_classify_icmp(struct packet *packet, __be16 identifier)
{
	__u8 type = packet->icmp_type;
	bool is_ipv4 = packet_is_ipv4(packet);

	if (type == (is_ipv4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST))
		packet->tuple.source_port = identifier;
	else if (type == (is_ipv4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY))
		packet->tuple.destination_port = identifier;
	else if (is_ipv4)
		packet->is_icmp_error = type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
					type == ICMP_PARAMETERPROB || type == ICMP_SOURCE_QUENCH;
	else
		packet->is_icmp_error = type < 128; /* RFC 4443 2.1 */
}

static __always_inline verdict_t packet_parse_icmp(struct __sk_buff *skb, struct packet *packet)
{
	struct icmp_header header;

	if (packet->end_offset - packet->transport_offset < sizeof(header) ||
	    !packet_load(skb, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->icmp_type = header.type;
	packet->icmp_code = header.code;
	packet_classify_icmp(packet, header.identifier);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_transport(struct __sk_buff *skb, struct packet *packet)
{
	__u8 protocol = packet->tuple.protocol;

	if (packet->fragment == FRAGMENT_LATER)
		return VERDICT_CONTINUE;
	if (protocol == IPPROTO_TCP)
		return packet_parse_tcp(skb, packet);
	if (protocol == IPPROTO_UDP)
		return packet_parse_udp(skb, packet);
	if (protocol == IPPROTO_SCTP)
		return packet_parse_sctp(skb, packet);
	if (protocol == (packet_is_ipv4(packet) ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return packet_parse_icmp(skb, packet);
	/* Kubernetes promises more than it names: other protocols pass between pods by their addresses. */
	return VERDICT_CONTINUE;
}

/* ARP continues with only the Ethernet part filled. */
__noinline verdict_t packet_parse(struct __sk_buff *skb, struct packet *packet)
{
	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	STEP(packet_parse_ethernet(skb, packet));
	if (packet->ethertype == bpf_htons(ETH_P_IP) && config_ipv4_enabled)
		STEP(packet_parse_ipv4(skb, packet));
	else if (packet->ethertype == bpf_htons(ETH_P_IPV6) && config_ipv6_enabled)
		STEP(packet_parse_ipv6(skb, packet));
	else if (packet->ethertype == bpf_htons(ETH_P_ARP) && config_ipv4_enabled)
		return VERDICT_CONTINUE;
	else
		return drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE);
	return packet_parse_transport(skb, packet);
}

/*
 * The tuple of the packet inside an ICMP error, as that packet was sent. Extension headers inside are not walked: the
 * error then passes as related to nothing. False: not to be read.
 */
static __always_inline bool packet_parse_inner(struct __sk_buff *skb, const struct packet *packet, struct tuple *inner)
{
	__u32 offset = packet->transport_offset + sizeof(struct icmp_header);
	struct icmp_header transport;

	__builtin_memset(inner, 0, sizeof(*inner));
	if (packet_is_ipv4(packet)) {
		struct iphdr header;

		if (!packet_load(skb, offset, &header, sizeof(header)))
			return false;
		inner->source = address_from_ipv4(header.saddr);
		inner->destination = address_from_ipv4(header.daddr);
		inner->protocol = header.protocol;
		offset += header.ihl * 4;
	} else {
		struct ipv6hdr header;

		if (!packet_load(skb, offset, &header, sizeof(header)))
			return false;
		__builtin_memcpy(&inner->source, &header.saddr, sizeof(struct address));
		__builtin_memcpy(&inner->destination, &header.daddr, sizeof(struct address));
		inner->protocol = header.nexthdr;
		offset += sizeof(header);
	}
	if (!packet_load(skb, offset, &transport, sizeof(transport)))
		return false;
	if (inner->protocol == IPPROTO_TCP || inner->protocol == IPPROTO_UDP || inner->protocol == IPPROTO_SCTP) {
		/* Ports stand where ICMP has its type, code and checksum. */
		__builtin_memcpy(&inner->source_port, &transport.type, sizeof(__be16));
		inner->destination_port = transport.checksum;
	} else if (transport.type == ICMP_ECHO || transport.type == ICMPV6_ECHO_REQUEST) {
		inner->source_port = transport.identifier;
	} else {
		inner->destination_port = transport.identifier;
	}
	return true;
}
