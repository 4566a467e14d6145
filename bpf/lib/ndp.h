/*
 * Neighbour discovery (RFC 4861) and what else a host says on its link: neighbour solicitations for the gateway are
 * answered here, the rest of the link's own traffic goes to the host's stack, which knows what to ignore.
 */
#pragma once
#include "config.h"
#include "packet.h"
#include "source.h"

#define NDP_ROUTER_SOLICITATION 133
#define NDP_ROUTER_ADVERTISEMENT 134
#define NDP_NEIGHBOUR_SOLICITATION 135
#define NDP_NEIGHBOUR_ADVERTISEMENT 136
#define NDP_OPTION_TARGET_MAC 2
#define NDP_HOP_LIMIT 255

#define NDP_FLAG_ROUTER 0x80
#define NDP_FLAG_SOLICITED 0x40
#define NDP_FLAG_OVERRIDE 0x20

#define MLD_QUERY 130
#define MLD_REPORT 131
#define MLD_DONE 132
#define MLD2_REPORT 143

struct ndp_solicitation {
	struct icmp_header icmp;
	struct address target;
};

struct ndp_advertisement {
	__u8 type;
	__u8 code;
	__u16 checksum;
	__u8 flags;
	__u8 unused[3];
	struct address target;
	__u8 option_type;
	/* In units of 8 bytes. */
	__u8 option_length;
	struct mac target_mac;
};

struct ndp_header {
	struct mac destination_mac;
	struct mac source_mac;
	__be16 ethertype;
	struct ipv6hdr ipv6;
} __attribute__((packed));

struct ipv6_pseudo_header {
	struct address source;
	struct address destination;
	__be32 length;
	__be32 protocol;
};

static __always_inline __u16 checksum_fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (__u16)~sum;
}

static __always_inline __u32 checksum_add(const void *from, __u32 length, __u32 sum)
{
	return (__u32)bpf_csum_diff(NULL, 0, (__be32 *)from, length, sum);
}

static __always_inline bool ndp_is_link_traffic(const struct packet *packet)
{
	__u8 type = packet->icmp_type;

	return packet_is_icmpv6(packet) && ((type >= NDP_ROUTER_SOLICITATION && type <= NDP_NEIGHBOUR_ADVERTISEMENT) ||
					    (type >= MLD_QUERY && type <= MLD_DONE) || type == MLD2_REPORT);
}

static __always_inline verdict_t ndp_load(struct __sk_buff *skb, struct packet *packet,
					  struct ndp_solicitation *solicitation)
{
	if (packet->end_offset - packet->transport_offset < sizeof(*solicitation) ||
	    !packet_load(skb, packet->transport_offset, solicitation, sizeof(*solicitation)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	/* RFC 4861 7.1.1; a hop limit below 255 came from beyond the link. */
	if (packet->hop_limit != NDP_HOP_LIMIT || packet->icmp_code != 0 || address_is_multicast(&solicitation->target))
		return drop(packet, DROP_REASON_INVALID_NEIGHBOUR_REQUEST);
	return VERDICT_CONTINUE;
}

/* An asker without an address (duplicate address detection) is answered to all nodes (RFC 4861 7.2.4). */
static __always_inline struct address ndp_reply_destination(const struct packet *packet)
{
	if (!address_is_zero(&packet->tuple.source))
		return packet->tuple.source;
	return (struct address){{bpf_htonl(0xff020000), 0, 0, bpf_htonl(1)}};
}

static __always_inline __u16 ndp_checksum(const struct ndp_advertisement *advertisement, const struct address *source,
					  const struct address *destination)
{
	struct ipv6_pseudo_header pseudo = {
	    .source = *source,
	    .destination = *destination,
	    .length = bpf_htonl(sizeof(*advertisement)),
	    .protocol = bpf_htonl(IPPROTO_ICMPV6),
	};

	return checksum_fold(
	    checksum_add(advertisement, sizeof(*advertisement), checksum_add(&pseudo, sizeof(pseudo), 0)));
}

static __always_inline verdict_t ndp_reply(struct __sk_buff *skb, struct packet *packet, const struct address *target)
{
	struct mac mac = config_host_mac;
	struct address destination = ndp_reply_destination(packet);
	bool is_solicited = !address_is_zero(&packet->tuple.source);
	struct ndp_advertisement advertisement = {
	    .type = NDP_NEIGHBOUR_ADVERTISEMENT,
	    .flags = NDP_FLAG_ROUTER | NDP_FLAG_OVERRIDE | (is_solicited ? NDP_FLAG_SOLICITED : 0),
	    .target = *target,
	    .option_type = NDP_OPTION_TARGET_MAC,
	    .option_length = 1,
	    .target_mac = mac,
	};
	struct ndp_header header = {
	    .destination_mac = packet->source_mac,
	    .source_mac = mac,
	    .ethertype = bpf_htons(ETH_P_IPV6),
	    .ipv6 = {.version = 6,
		     .payload_len = bpf_htons(sizeof(advertisement)),
		     .nexthdr = IPPROTO_ICMPV6,
		     .hop_limit = NDP_HOP_LIMIT},
	};

	__builtin_memcpy(&header.ipv6.saddr, target, sizeof(*target));
	__builtin_memcpy(&header.ipv6.daddr, &destination, sizeof(destination));
	advertisement.checksum = ndp_checksum(&advertisement, target, &destination);
	if (bpf_skb_change_tail(skb, sizeof(header) + sizeof(advertisement), 0) != 0 ||
	    bpf_skb_store_bytes(skb, 0, &header, sizeof(header), 0) != 0 ||
	    bpf_skb_store_bytes(skb, sizeof(header), &advertisement, sizeof(advertisement), 0) != 0)
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return bpf_redirect(skb->ifindex, 0);
}

__noinline verdict_t ndp_answer_pod(struct __sk_buff *skb, struct packet *packet)
{
	struct address gateway = config_gateway_ipv6;
	struct ndp_solicitation solicitation;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!ndp_is_link_traffic(packet))
		return VERDICT_CONTINUE;
	/* With a link-local or no address there is nothing to compare; it does not leave the link. */
	if (!address_is_link_local(&packet->tuple.source) && !address_is_zero(&packet->tuple.source))
		STEP(endpoint_check_source(skb, packet));
	else if (!address_is_multicast(&packet->tuple.destination) &&
		 !address_is_link_local(&packet->tuple.destination) &&
		 !address_equal(&packet->tuple.destination, &gateway))
		return drop(packet, DROP_REASON_INVALID_SOURCE_ADDRESS);
	/* A pod is no router: its advertisement could make the node send everything to it (CVE-2020-10749). */
	if (packet->icmp_type == NDP_ROUTER_ADVERTISEMENT)
		return drop(packet, DROP_REASON_INVALID_NEIGHBOUR_REQUEST);
	if (packet->icmp_type != NDP_NEIGHBOUR_SOLICITATION)
		return TC_ACT_OK;
	STEP(ndp_load(skb, packet, &solicitation));
	if (address_equal(&solicitation.target, &gateway))
		return ndp_reply(skb, packet, &solicitation.target);
	/* Duplicate address detection, and the host's own link-local address. */
	if (address_is_zero(&packet->tuple.source) || address_is_link_local(&solicitation.target))
		return TC_ACT_OK;
	return drop(packet, DROP_REASON_INVALID_NEIGHBOUR_REQUEST);
}

/* The host asks for whatever its routes send to sluice_host; its own addresses it asks for with no address. */
__noinline verdict_t ndp_answer_host(struct __sk_buff *skb, struct packet *packet)
{
	struct ndp_solicitation solicitation;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!ndp_is_link_traffic(packet))
		return VERDICT_CONTINUE;
	if (packet->icmp_type != NDP_NEIGHBOUR_SOLICITATION)
		return TC_ACT_OK;
	STEP(ndp_load(skb, packet, &solicitation));
	if (address_is_zero(&packet->tuple.source))
		return TC_ACT_OK;
	return ndp_reply(skb, packet, &solicitation.target);
}
