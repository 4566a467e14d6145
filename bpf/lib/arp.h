/* ARP (RFC 826): pods ask for their gateway only, the host for whatever it routes to us; the answer is one MAC. */
#pragma once
#include "config.h"
#include "endpoint.h"
#include "packet.h"
#include "source.h"

#define ARPHRD_ETHER 1
#define ARPOP_REQUEST 1
#define ARPOP_REPLY 2

struct arp_packet {
	__be16 hardware_type;
	__be16 protocol_type;
	__u8 hardware_length;
	__u8 protocol_length;
	__be16 operation;
	struct mac sender_mac;
	__be32 sender_address;
	struct mac target_mac;
	__be32 target_address;
} __attribute__((packed));

static __always_inline bool arp_is_ethernet_ipv4(const struct arp_packet *arp)
{
	return arp->hardware_type == bpf_htons(ARPHRD_ETHER) && arp->protocol_type == bpf_htons(ETH_P_IP) &&
	       arp->hardware_length == sizeof(struct mac) && arp->protocol_length == sizeof(__be32);
}

static __always_inline verdict_t arp_load(struct __sk_buff *skb, struct packet *packet, struct arp_packet *arp)
{
	if (!packet_load(skb, NETWORK_OFFSET, arp, sizeof(*arp)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source = address_from_ipv4(arp->sender_address);
	packet->tuple.destination = address_from_ipv4(arp->target_address);
	if (!arp_is_ethernet_ipv4(arp))
		return drop(packet, DROP_REASON_INVALID_NEIGHBOUR_REQUEST);
	return VERDICT_CONTINUE;
}

/* Back where it came from: "target_address is at config_host_mac". */
static __always_inline verdict_t arp_reply(struct __sk_buff *skb, struct packet *packet,
					   const struct arp_packet *request)
{
	struct mac mac = config_host_mac, macs[2] = {request->sender_mac, mac};
	struct arp_packet reply = {
	    .hardware_type = request->hardware_type,
	    .protocol_type = request->protocol_type,
	    .hardware_length = sizeof(struct mac),
	    .protocol_length = sizeof(__be32),
	    .operation = bpf_htons(ARPOP_REPLY),
	    .sender_mac = mac,
	    .sender_address = request->target_address,
	    .target_mac = request->sender_mac,
	    .target_address = request->sender_address,
	};

	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) != 0 ||
	    bpf_skb_store_bytes(skb, NETWORK_OFFSET, &reply, sizeof(reply), 0) != 0)
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return bpf_redirect(skb->ifindex, 0);
}

static __always_inline verdict_t arp_answer_pod(struct __sk_buff *skb, struct packet *packet)
{
	struct arp_packet arp;

	if (!packet_is_arp(packet))
		return VERDICT_CONTINUE;
	STEP(arp_load(skb, packet, &arp));
	if (!mac_equal(&arp.sender_mac, &packet->source_mac))
		return drop(packet, DROP_REASON_INVALID_SOURCE_MAC);
	/* A probe (RFC 5227 2.1.1) has no sender address. */
	if (arp.sender_address != 0)
		STEP(endpoint_check_source(skb, packet));
	/* Announcements and probes of its own address concern nobody here; the host's stack ignores them. */
	if (arp.operation != bpf_htons(ARPOP_REQUEST) || arp.sender_address == arp.target_address)
		return TC_ACT_OK;
	if (arp.target_address != config_gateway_ipv4.words[3])
		return arp.sender_address == 0 ? TC_ACT_OK : drop(packet, DROP_REASON_INVALID_NEIGHBOUR_REQUEST);
	return arp_reply(skb, packet, &arp);
}

static __always_inline verdict_t arp_answer_host(struct __sk_buff *skb, struct packet *packet)
{
	struct arp_packet arp;

	if (!packet_is_arp(packet))
		return VERDICT_CONTINUE;
	STEP(arp_load(skb, packet, &arp));
	if (arp.operation != bpf_htons(ARPOP_REQUEST) || arp.sender_address == arp.target_address)
		return TC_ACT_OK;
	return arp_reply(skb, packet, &arp);
}
