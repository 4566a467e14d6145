/*
 * NAT: rewriting one end of a packet, checksums included. Offsets are those of the packet itself, or of the packet that
 * an ICMP error quotes.
 *
 * Checksums: the device may have computed one over all bytes (CHECKSUM_COMPLETE), which must follow. IPv4 headers sum
 * to zero, so there only the transport's changes; in IPv6 the address is stored with BPF_F_RECOMPUTE_CSUM and the
 * transport's sum by BPF_F_PSEUDO_HDR, which holds on every kernel (BPF_F_IPV6 of 6.16 is the other way).
 */
#pragma once
#include "packet.h"

enum nat_side {
	NAT_SOURCE = 0,
	NAT_DESTINATION = 1,
};

/* Of the transport header; ICMP has one number, and it stands at the same place for both sides. */
#define NAT_ICMP_IDENTIFIER_OFFSET 4
#define NAT_NO_CHECKSUM 0

static __always_inline __u32 nat_address_offset(bool is_ipv4, enum nat_side side)
{
	if (is_ipv4)
		return side == NAT_SOURCE ? __builtin_offsetof(struct iphdr, saddr)
					  : __builtin_offsetof(struct iphdr, daddr);
	return side == NAT_SOURCE ? __builtin_offsetof(struct ipv6hdr, saddr)
				  : __builtin_offsetof(struct ipv6hdr, daddr);
}

static __always_inline __u32 nat_port_offset(__u8 protocol, enum nat_side side)
{
	if (protocol == IPPROTO_ICMP || protocol == IPPROTO_ICMPV6)
		return NAT_ICMP_IDENTIFIER_OFFSET;
	return side == NAT_SOURCE ? 0 : sizeof(__be16);
}

/* Within the transport header. */
static __always_inline __u32 nat_checksum_offset(__u8 protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return __builtin_offsetof(struct tcphdr, check);
	case IPPROTO_UDP:
	/* Of these we read no ports, but their sums are over the addresses, too, and stand in the same place. */
	case IPPROTO_UDPLITE:
	case IPPROTO_DCCP:
		return __builtin_offsetof(struct udphdr, check);
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return __builtin_offsetof(struct icmp_header, checksum);
	}
	return NAT_NO_CHECKSUM;
}

/* Of words that stand for addresses of both families: what is the same in both sums to nothing. */
static __always_inline __u32 nat_address_difference(const struct address *from, const struct address *to)
{
	return (__u32)bpf_csum_diff((__be32 *)from->words, sizeof(*from), (__be32 *)to->words, sizeof(*to), 0);
}

static __always_inline bool nat_store_address(struct __sk_buff *skb, __u32 offset, bool is_ipv4,
					      const struct address *to)
{
	if (is_ipv4)
		return bpf_skb_store_bytes(skb, offset, &to->words[3], sizeof(to->words[3]), 0) == 0;
	return bpf_skb_store_bytes(skb, offset, to->words, sizeof(to->words), BPF_F_RECOMPUTE_CSUM) == 0;
}

static __always_inline bool nat_rewrite_address(struct __sk_buff *skb, const struct packet *packet, enum nat_side side,
						const struct address *from, const struct address *to)
{
	bool is_ipv4 = packet_is_ipv4(packet);
	__u8 protocol = packet->tuple.protocol;
	__u32 checksum = nat_checksum_offset(protocol);
	__u64 flags = BPF_F_PSEUDO_HDR | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);
	/* ICMP of IPv4 sums no addresses, that of IPv6 is nothing we know in IPv4; a later fragment has no sum. */
	bool has_sum = checksum != NAT_NO_CHECKSUM && protocol != IPPROTO_ICMP &&
		       !(is_ipv4 && protocol == IPPROTO_ICMPV6) && packet->fragment != FRAGMENT_LATER;

	if (is_ipv4 && bpf_l3_csum_replace(skb, NETWORK_OFFSET + __builtin_offsetof(struct iphdr, check),
					   from->words[3], to->words[3], sizeof(to->words[3])) != 0)
		return false;
	if (!nat_store_address(skb, NETWORK_OFFSET + nat_address_offset(is_ipv4, side), is_ipv4, to))
		return false;
	return !has_sum || bpf_l4_csum_replace(skb, packet->transport_offset + checksum, 0,
					       nat_address_difference(from, to), flags) == 0;
}

static __always_inline bool nat_rewrite_port(struct __sk_buff *skb, const struct packet *packet, enum nat_side side,
					     __be16 from, __be16 to)
{
	__u8 protocol = packet->tuple.protocol;
	__u64 flags = sizeof(to) | (protocol == IPPROTO_UDP ? BPF_F_MARK_MANGLED_0 : 0);

	return bpf_l4_csum_replace(skb, packet->transport_offset + nat_checksum_offset(protocol), from, to, flags) ==
		   0 &&
	       bpf_skb_store_bytes(skb, packet->transport_offset + nat_port_offset(protocol, side), &to, sizeof(to),
				   0) == 0;
}

/* The packet's tuple follows. */
__noinline verdict_t nat_rewrite(struct __sk_buff *skb, struct packet *packet, __u32 side, const struct tuple_end *to)
{
	struct tuple_end from;

	if (!packet || !to)
		return -DROP_REASON_INVALID_PACKET;
	from = side == NAT_SOURCE ? tuple_source(&packet->tuple) : tuple_destination(&packet->tuple);
	if (!address_equal(&from.address, &to->address) &&
	    !nat_rewrite_address(skb, packet, side, &from.address, &to->address))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	if (from.port != to->port && packet->fragment != FRAGMENT_LATER) {
		if (nat_checksum_offset(packet->tuple.protocol) == NAT_NO_CHECKSUM)
			return drop(packet, DROP_REASON_NAT_UNSUPPORTED);
		if (!nat_rewrite_port(skb, packet, side, from.port, to->port))
			return drop(packet, DROP_REASON_WRITE_FAILED);
	}
	if (side == NAT_SOURCE) {
		packet->tuple.source = to->address;
		packet->tuple.source_port = to->port;
	} else {
		packet->tuple.destination = to->address;
		packet->tuple.destination_port = to->port;
	}
	return VERDICT_CONTINUE;
}

/* Its sender must recognise it in what is quoted to him. */
__noinline verdict_t nat_restore(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end source, destination;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	source = tuple_source(&packet->arrived);
	destination = tuple_destination(&packet->arrived);
	STEP(nat_rewrite(skb, packet, NAT_SOURCE, &source));
	return nat_rewrite(skb, packet, NAT_DESTINATION, &destination);
}
