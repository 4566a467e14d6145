/* The last steps on this node: to a pod, to the host's stack, or through the tunnel. One of them ends every way. */
#pragma once
#include "config.h"
#include "conntrack.h"
#include "dnat.h"
#include "drop.h"
#include "endpoint.h"
#include "identity.h"
#include "packet.h"

static __always_inline bool packet_write_macs(struct __sk_buff *skb, const struct mac *destination,
					      const struct mac *source)
{
	struct mac macs[2] = {*destination, *source};

	return bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) == 0;
}

/* A router's step: between two pods, and between a pod and the tunnel. The host's stack does its own. */
static __always_inline verdict_t packet_decrement_hop_limit(struct __sk_buff *skb, struct packet *packet)
{
	__u8 decremented = packet->hop_limit - 1;
	bool is_written;

	if (packet->hop_limit <= 1)
		return drop(packet, DROP_REASON_TTL_EXCEEDED);
	if (packet_is_ipv4(packet)) {
		/* The checksum is over 16-bit words; the TTL is the upper byte of its word. */
		bpf_l3_csum_replace(skb, NETWORK_OFFSET + __builtin_offsetof(struct iphdr, check),
				    bpf_htons(packet->hop_limit << 8), bpf_htons(decremented << 8), 2);
		is_written = bpf_skb_store_bytes(skb, NETWORK_OFFSET + __builtin_offsetof(struct iphdr, ttl),
						 &decremented, 1, 0) == 0;
	} else {
		/* No header checksum makes up for the change in a checksum that the device has computed. */
		is_written = bpf_skb_store_bytes(skb, NETWORK_OFFSET + __builtin_offsetof(struct ipv6hdr, hop_limit),
						 &decremented, 1, BPF_F_RECOMPUTE_CSUM) == 0;
	}
	return is_written ? VERDICT_CONTINUE : drop(packet, DROP_REASON_WRITE_FAILED);
}

static __always_inline bool deliver_is_hairpin(const struct packet *packet, bool is_to_host)
{
	if (tuple_end_is_none(&packet->frontend))
		return false;
	return is_to_host ? packet->source_identity == IDENTITY_HOST
			  : address_equal(&packet->tuple.source, &packet->tuple.destination);
}

/*
 * Into the pod's namespace, past its host-side veth. bpf_redirect_peer takes the packet as it is: its type still says
 * "for another host" where the frame was not addressed to the device that it came in by, and IP would ignore it.
 */
static __always_inline verdict_t deliver_local(struct __sk_buff *skb, struct packet *packet,
					       const struct endpoint *endpoint)
{
	packet->destination_identity = endpoint->identity;
	if (packet->direction == DIRECTION_INGRESS)
		packet->endpoint_id = endpoint->id;
	STEP(ct_commit(skb, packet));
	if (deliver_is_hairpin(packet, false))
		STEP(dnat_hairpin(skb, packet));
	if (!packet_write_macs(skb, &endpoint->mac, &endpoint->node_mac) ||
	    bpf_skb_change_type(skb, 0 /* PACKET_HOST */) != 0)
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return bpf_redirect_peer(endpoint->ifindex, 0);
}

/* To the host's stack, as if the packet came in by sluice_host: routes and rp_filter see one device for all pods. */
static __always_inline verdict_t deliver_host(struct __sk_buff *skb, struct packet *packet, __u32 destination_identity)
{
	struct mac mac = config_host_mac;

	packet->destination_identity = destination_identity;
	STEP(ct_commit(skb, packet));
	if (deliver_is_hairpin(packet, true))
		STEP(dnat_hairpin(skb, packet));
	if (!packet_write_macs(skb, &mac, &packet->source_mac))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return bpf_redirect(config_host_ifindex, BPF_F_INGRESS);
}
