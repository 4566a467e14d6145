/* Echo to an address of services, which no stack has: answered here, so that people who ping it learn that it is there.
 */
#pragma once
#include "icmp.h"
#include "nat.h"
#include "packet.h"
#include "reject.h"

static __always_inline bool echo_write_macs(struct __sk_buff *skb, const struct packet *packet)
{
	struct mac macs[2] = {packet->source_mac, reject_mac(packet)};

	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) == 0;
}

/* As if the way began here: what was left of the question's hops need not suffice. */
static __always_inline bool echo_write_hop_limit(struct __sk_buff *skb, const struct packet *packet)
{
	__u8 hop_limit = REJECT_TTL;

	if (!packet_is_ipv4(packet))
		return bpf_skb_store_bytes(skb, NETWORK_OFFSET + __builtin_offsetof(struct ipv6hdr, hop_limit),
					   &hop_limit, sizeof(hop_limit), BPF_F_RECOMPUTE_CSUM) == 0;
	return bpf_l3_csum_replace(skb, NETWORK_OFFSET + __builtin_offsetof(struct iphdr, check),
				   bpf_htons(packet->hop_limit << 8), bpf_htons(hop_limit << 8), 2) == 0 &&
	       bpf_skb_store_bytes(skb, NETWORK_OFFSET + __builtin_offsetof(struct iphdr, ttl), &hop_limit,
				   sizeof(hop_limit), 0) == 0;
}

static __always_inline bool echo_write_type(struct __sk_buff *skb, const struct packet *packet)
{
	__u8 type = packet_is_ipv4(packet) ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY;

	return bpf_l4_csum_replace(skb, packet->transport_offset + __builtin_offsetof(struct icmp_header, checksum),
				   bpf_htons(packet->icmp_type << 8), bpf_htons(type << 8), 2) == 0 &&
	       bpf_skb_store_bytes(skb, packet->transport_offset, &type, sizeof(type), 0) == 0;
}

/* A whole question; of one in fragments the rest has no header to be answered by. */
static __always_inline bool echo_is_question(const struct packet *packet)
{
	return packet_is_echo_request(packet) && packet->fragment == FRAGMENT_NONE && reject_is_allowed(packet);
}

/* Back by the device that it came by. The packet's tuple becomes the answer's. */
__noinline verdict_t echo_answer(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end client, service;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	client = tuple_source(&packet->tuple);
	service = tuple_destination(&packet->tuple);
	/* The number of the echo stays where it is. */
	client.port = service.port;
	service.port = tuple_source(&packet->tuple).port;
	STEP(nat_rewrite(skb, packet, NAT_SOURCE, &service));
	STEP(nat_rewrite(skb, packet, NAT_DESTINATION, &client));
	if (!echo_write_type(skb, packet) || !echo_write_hop_limit(skb, packet) || !echo_write_macs(skb, packet))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return bpf_redirect(skb->ifindex, 0);
}
