/*
 * Answers to packets that are dropped: what a sender without us would get. TCP gets a reset, everything else an ICMP
 * error; both go back the way the packet came, by its device or through the tunnel.
 */
#pragma once
#include "config.h"
#include "device.h"
#include "nat.h"
#include "ndp.h"
#include "packet.h"
#include "tunnel.h"

#define REJECT_TTL 64
/* Of the packet an error speaks of: the longest IPv4 header and 8 bytes (RFC 792), as multiple of 4 for checksums. */
#define REJECT_QUOTE_MAX 72

struct reject_icmp {
	__u8 type;
	__u8 code;
	__u16 checksum;
	/* MTU: the whole of it in ICMPv6, the last two bytes in ICMP. */
	__be32 value;
};

struct reject_ipv4 {
	struct mac destination_mac;
	struct mac source_mac;
	__be16 ethertype;
	struct iphdr ipv4;
} __attribute__((packed));

struct reject_ipv6 {
	struct mac destination_mac;
	struct mac source_mac;
	__be16 ethertype;
	struct ipv6hdr ipv6;
} __attribute__((packed));

/* RFC 1122 3.2.2, RFC 4443 2.4: never about errors, fragments without ports, or to and from groups. */
static __always_inline bool reject_is_allowed(const struct packet *packet)
{
	return !packet->is_icmp_error && packet->fragment != FRAGMENT_LATER &&
	       !address_is_multicast(&packet->tuple.destination) && !address_is_multicast(&packet->tuple.source) &&
	       !address_is_zero(&packet->tuple.source);
}

/* What goes back to the packet's source. */
struct reject_reply {
	struct address source;
	__u8 protocol;
	__u8 reserved;
	/* Behind the IP header. */
	__u16 length;
};

/* Of the device that the frame was sent to: a router's, for pods and the host that of their gateway. */
static __always_inline struct mac reject_mac(const struct packet *packet)
{
	struct mac mac = config_host_mac;

	return packet->trace_point == TRACE_POINT_FROM_NETWORK ? packet->destination_mac : mac;
}

static __always_inline bool reject_write_ipv4(struct __sk_buff *skb, const struct packet *packet,
					      const struct reject_reply *reply)
{
	struct mac mac = reject_mac(packet);
	struct reject_ipv4 header = {
	    .destination_mac = packet->source_mac,
	    .source_mac = mac,
	    .ethertype = packet->ethertype,
	    .ipv4 = {.version = 4,
		     .ihl = sizeof(struct iphdr) / 4,
		     .tot_len = bpf_htons(sizeof(struct iphdr) + reply->length),
		     .frag_off = bpf_htons(IPV4_DONT_FRAGMENT),
		     .ttl = REJECT_TTL,
		     .protocol = reply->protocol,
		     .saddr = reply->source.words[3],
		     .daddr = packet->tuple.source.words[3]},
	};

	header.ipv4.check = checksum_fold(checksum_add(&header.ipv4, sizeof(header.ipv4), 0));
	return bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0) == 0;
}

static __always_inline bool reject_write_ipv6(struct __sk_buff *skb, const struct packet *packet,
					      const struct reject_reply *reply)
{
	struct mac mac = reject_mac(packet);
	struct reject_ipv6 header = {
	    .destination_mac = packet->source_mac,
	    .source_mac = mac,
	    .ethertype = packet->ethertype,
	    .ipv6 = {.version = 6,
		     .payload_len = bpf_htons(reply->length),
		     .nexthdr = reply->protocol,
		     .hop_limit = REJECT_TTL},
	};

	__builtin_memcpy(&header.ipv6.saddr, &reply->source, sizeof(struct address));
	__builtin_memcpy(&header.ipv6.daddr, &packet->tuple.source, sizeof(struct address));
	return bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0) == 0;
}

static __always_inline bool reject_write(struct __sk_buff *skb, const struct packet *packet,
					 const struct reject_reply *reply)
{
	return packet_is_ipv4(packet) ? reject_write_ipv4(skb, packet, reply) : reject_write_ipv6(skb, packet, reply);
}

static __always_inline __u32 reject_network_length(const struct packet *packet)
{
	return packet_is_ipv4(packet) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);
}

/* The sum of the reply's pseudo header (RFC 9293 3.1, RFC 8200 8.1). */
static __always_inline __u32 reject_pseudo_sum(const struct packet *packet, const struct reject_reply *reply)
{
	struct ipv6_pseudo_header pseudo = {
	    .source = reply->source,
	    .destination = packet->tuple.source,
	    .length = bpf_htonl(reply->length),
	    .protocol = bpf_htonl(reply->protocol),
	};

	/* IPv4 sums the same words, but for the two marks of the mapped addresses: 0xffff, which is 0 in this sum. */
	return checksum_add(&pseudo, sizeof(pseudo), 0);
}

static __always_inline verdict_t reject_redirect(struct __sk_buff *skb, const struct packet *packet)
{
	struct address node = packet->tunnel_sender;

	/* A process of the node is told by the device that it would have heard from. */
	if (packet->trace_point == TRACE_POINT_TO_NETWORK)
		return bpf_redirect(skb->ifindex, BPF_F_INGRESS);
	if (packet->trace_point != TRACE_POINT_FROM_OVERLAY)
		return bpf_redirect(skb->ifindex, 0);
	return tunnel_set(skb, &node, config_node_identity) ? bpf_redirect(config_overlay_ifindex, 0) : TC_ACT_SHOT;
}

/* RFC 9293 3.10.7.1: a reset for a segment to a port that is closed. */
static __always_inline struct tcphdr reject_reset_of(const struct packet *packet, const struct tcphdr *segment)
{
	__u32 length = packet->end_offset - packet->transport_offset - segment->doff * 4 + segment->syn + segment->fin;
	struct tcphdr reset = {
	    .source = segment->dest,
	    .dest = segment->source,
	    .doff = sizeof(struct tcphdr) / 4,
	    .rst = 1,
	};

	if (segment->ack) {
		reset.seq = segment->ack_seq;
	} else {
		reset.ack = 1;
		reset.ack_seq = bpf_htonl(bpf_ntohl(segment->seq) + length);
	}
	return reset;
}

static __always_inline verdict_t reject_with_reset(struct __sk_buff *skb, const struct packet *packet)
{
	__u32 offset = NETWORK_OFFSET + reject_network_length(packet);
	struct reject_reply reply = {
	    .source = packet->tuple.destination,
	    .protocol = IPPROTO_TCP,
	    .length = sizeof(struct tcphdr),
	};
	struct tcphdr segment, reset;

	if ((packet->tcp_flags & TCP_FLAG_RST) ||
	    !packet_load(skb, packet->transport_offset, &segment, sizeof(segment)))
		return TC_ACT_SHOT;
	reset = reject_reset_of(packet, &segment);
	reset.check = checksum_fold(checksum_add(&reset, sizeof(reset), reject_pseudo_sum(packet, &reply)));
	if (bpf_skb_change_tail(skb, offset + sizeof(reset), 0) != 0 || !reject_write(skb, packet, &reply) ||
	    bpf_skb_store_bytes(skb, offset, &reset, sizeof(reset), 0) != 0)
		return TC_ACT_SHOT;
	return reject_redirect(skb, packet);
}

/* The quoted packet stays where it is; the new headers are pushed before it and take the place of its frame's. */
static __always_inline verdict_t reject_with_icmp(struct __sk_buff *skb, const struct packet *packet,
						  struct reject_icmp icmp, const struct address *source)
{
	struct reject_reply reply = {
	    .source = *source,
	    .protocol = packet_is_ipv4(packet) ? IPPROTO_ICMP : IPPROTO_ICMPV6,
	};
	__u32 network_length = reject_network_length(packet), sum = 0;
	__u32 quote_length = packet->end_offset - NETWORK_OFFSET;
	__u8 quote[REJECT_QUOTE_MAX] = {};

	if (quote_length > sizeof(quote))
		quote_length = sizeof(quote);
	if (quote_length == 0 || !packet_load(skb, NETWORK_OFFSET, quote, quote_length))
		return TC_ACT_SHOT;
	reply.length = sizeof(icmp) + quote_length;
	/* ICMP of IPv4 sums no pseudo header. */
	if (!packet_is_ipv4(packet))
		sum = reject_pseudo_sum(packet, &reply);
	sum = checksum_add(&icmp, sizeof(icmp), sum);
	icmp.checksum = checksum_fold(checksum_add(quote, sizeof(quote), sum));

	if (bpf_skb_change_tail(skb, NETWORK_OFFSET + quote_length, 0) != 0 ||
	    bpf_skb_change_head(skb, network_length + sizeof(icmp), 0) != 0 || !reject_write(skb, packet, &reply) ||
	    bpf_skb_store_bytes(skb, NETWORK_OFFSET + network_length, &icmp, sizeof(icmp), 0) != 0)
		return TC_ACT_SHOT;
	return reject_redirect(skb, packet);
}

/*
 * Who says it: this node, by the address that the sender knows it by. To itself it would be no credible sender: there
 * the address speaks that was asked for.
 */
static __always_inline struct address reject_router(struct __sk_buff *skb, const struct packet *packet)
{
	struct address ipv4 = config_gateway_ipv4, ipv6 = config_gateway_ipv6;
	struct device *device;

	if (packet->trace_point == TRACE_POINT_FROM_HOST)
		return packet->tuple.destination;
	device = packet->trace_point == TRACE_POINT_FROM_NETWORK ? device_lookup(skb->ifindex) : NULL;
	if (packet_is_ipv4(packet))
		return device ? device->ipv4 : ipv4;
	return device ? device->ipv6 : ipv6;
}

static __always_inline verdict_t reject_unreachable(struct __sk_buff *skb, const struct packet *packet)
{
	struct reject_icmp icmp = {.type = ICMPV6_DEST_UNREACH, .code = ICMPV6_PORT_UNREACH};

	if (packet_is_ipv4(packet)) {
		icmp.type = ICMP_DEST_UNREACH;
		icmp.code = ICMP_PORT_UNREACH;
	}
	/* From the address that was asked, as the port's owner would send it. */
	return reject_with_icmp(skb, packet, icmp, &packet->tuple.destination);
}

/* As a router without a route says it. */
static __always_inline verdict_t reject_no_route(struct __sk_buff *skb, const struct packet *packet)
{
	struct address router = reject_router(skb, packet);
	struct reject_icmp icmp = {.type = packet_is_ipv4(packet) ? ICMP_DEST_UNREACH : ICMPV6_DEST_UNREACH};

	return reject_with_icmp(skb, packet, icmp, &router);
}

static __always_inline verdict_t reject_time_exceeded(struct __sk_buff *skb, const struct packet *packet)
{
	struct address router = reject_router(skb, packet);
	struct reject_icmp icmp = {.type = packet_is_ipv4(packet) ? ICMP_TIME_EXCEEDED : ICMPV6_TIME_EXCEED};

	return reject_with_icmp(skb, packet, icmp, &router);
}

static __always_inline verdict_t reject_too_big(struct __sk_buff *skb, const struct packet *packet)
{
	struct address router = reject_router(skb, packet);
	struct reject_icmp icmp = {.type = ICMPV6_PKT_TOOBIG};

	if (packet_is_ipv4(packet)) {
		icmp.type = ICMP_DEST_UNREACH;
		icmp.code = ICMP_FRAG_NEEDED;
	}
	icmp.value = bpf_htonl(packet->mtu);
	return reject_with_icmp(skb, packet, icmp, &router);
}

/* What becomes of a dropped packet: an answer where its sender waits for one, else nothing. */
__noinline verdict_t reject_answer(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (!packet)
		return TC_ACT_SHOT;
	if (verdict == -DROP_REASON_NO_BACKEND)
		return packet->tuple.protocol == IPPROTO_TCP ? reject_with_reset(skb, packet)
							     : reject_unreachable(skb, packet);
	if (verdict == -DROP_REASON_STALE_OR_UNROUTABLE)
		return reject_unreachable(skb, packet);
	if (verdict == -DROP_REASON_TTL_EXCEEDED)
		return reject_time_exceeded(skb, packet);
	if (verdict == -DROP_REASON_TOO_BIG)
		return reject_too_big(skb, packet);
	if (verdict == -DROP_REASON_NO_ROUTE)
		return reject_no_route(skb, packet);
	return TC_ACT_SHOT;
}

static __always_inline bool reject_has_answer(const struct packet *packet, verdict_t verdict)
{
	switch (verdict_reason(verdict)) {
	case DROP_REASON_NO_BACKEND:
	case DROP_REASON_TTL_EXCEEDED:
	case DROP_REASON_TOO_BIG:
	case DROP_REASON_NO_ROUTE:
		return reject_is_allowed(packet);
	/*
	 * A connected socket of UDP would talk to a backend that is gone for ever: told, it is closed or connected
	 * anew. TCP tries again by itself, and may find a pod that is just coming.
	 */
	case DROP_REASON_STALE_OR_UNROUTABLE:
		return packet->tuple.protocol == IPPROTO_UDP && reject_is_allowed(packet);
	default:
		return false;
	}
}
