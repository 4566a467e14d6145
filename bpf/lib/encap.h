/* The tunnel: VXLAN, the source's identity in the VNI. */
#pragma once
#include "config.h"
#include "conntrack.h"
#include "dsr.h"
#include "give_way.h"
#include "identity.h"
#include "ipcache.h"
#include "packet.h"
#include "snat.h"
#include "tunnel.h"

/* What fits into the tunnel to this node: the route there may be narrower than our device. 0: whatever it is. */
static __always_inline __u32 encap_mtu(void *buffer, const struct packet *packet, const struct ipcache_entry *entry)
{
	__u32 mtu = 0;

	/* An IPv4 packet that may be fragmented is, outside. */
	if (!packet->dont_fragment)
		return 0;
	/* Fails when the device is gone, which the redirect will find out. */
	bpf_check_mtu(buffer, config_overlay_ifindex, &mtu, 0, 0);
	return entry->mtu != 0 && entry->mtu < mtu ? entry->mtu : mtu;
}

/* Of any device that could carry the tunnel, and it need not be asked: acknowledgements, and most that is short. */
#define ENCAP_ALWAYS_FITS 500

static __always_inline verdict_t encap_check_size(struct __sk_buff *skb, struct packet *packet,
						  const struct ipcache_entry *entry)
{
	__u32 mtu;

	if (packet->wire_length <= ENCAP_ALWAYS_FITS && entry->mtu == 0 && !packet->is_external)
		return VERDICT_CONTINUE;
	mtu = encap_mtu(skb, packet, entry);
	if (packet->is_external)
		mtu = dsr_decide(skb, packet, mtu);
	if (packet->is_one_way && packet->client_port != 0)
		return drop(packet, DROP_REASON_NAT_CONFLICT);
	if (mtu == 0 || packet->wire_length <= mtu)
		return VERDICT_CONTINUE;
	packet->mtu = mtu;
	return drop(packet, DROP_REASON_TOO_BIG);
}

static __always_inline struct address encap_gateway(const struct packet *packet)
{
	/* Copied before the choice: of a choice between two casts clang 19 has made zeros. */
	struct address ipv4 = config_gateway_ipv4, ipv6 = config_gateway_ipv6;

	return packet_is_ipv4(packet) ? ipv4 : ipv6;
}

/*
 * To a backend of another node: its replies must come back here, so it sees our gateway's address, which only the pod
 * network knows. Whose packet it is the identity in the tunnel tells all the same.
 */
static __always_inline verdict_t encap_masquerade(struct __sk_buff *skb, struct packet *packet)
{
	struct address gateway = encap_gateway(packet);

	if (address_is_zero(&gateway))
		return drop(packet, DROP_REASON_NO_MASQUERADE_ADDRESS);
	return packet->is_icmp_error ? snat_translate_error(skb, packet, &gateway)
				     : snat_translate(skb, packet, &gateway);
}

/* 1: sent by the node itself from its gateway's address, which stands for clients from outside as well. */
__noinline int encap_gives_way(const struct packet *packet)
{
	struct address gateway;

	if (!packet || packet->lacks_ports || packet->is_icmp_error)
		return 0;
	gateway = encap_gateway(packet);
	if (!address_equal(&packet->tuple.source, &gateway))
		return 0;
	return give_way_was_given(packet) || (packet->ct_status == CT_STATUS_NEW && give_way_is_due(packet));
}

static __always_inline verdict_t encap_redirect(struct __sk_buff *skb, struct packet *packet,
						const struct ipcache_entry *entry)
{
	struct address node = entry->tunnel_endpoint;

	packet->destination_identity = entry->identity;
	if (packet->source_identity == 0 || packet->source_identity > IDENTITY_MAX)
		return drop(packet, DROP_REASON_INVALID_IDENTITY);
	STEP(encap_check_size(skb, packet, entry));
	/* There it would be believed. */
	if (packet->has_dsr_option && !packet->tells)
		return drop(packet, DROP_REASON_FORGED_DSR_OPTION);
	if (!tunnel_set(skb, &node, packet->source_identity))
		return drop(packet, DROP_REASON_ENCAP_FAILED);
	STEP(ct_commit(skb, packet));
	if (packet->is_external)
		STEP(packet->is_one_way ? dsr_tell(skb, packet) : encap_masquerade(skb, packet));
	else if (packet->trace_point == TRACE_POINT_FROM_HOST && encap_gives_way(packet))
		STEP(encap_masquerade(skb, packet));
	return bpf_redirect(config_overlay_ifindex, 0);
}

/*
 * Who sent, by the VNI. Believed only if a node sent it: a pod can send UDP to our tunnel's port, too, and would choose
 * its identity and source address.
 */
static __always_inline verdict_t decap_believe(struct packet *packet, const struct address *node, __u32 identity)
{
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache, node);

	if (!entry || !(entry->flags & IPCACHE_FLAG_NODE))
		return drop(packet, DROP_REASON_INVALID_TUNNEL_SENDER);
	if (identity == 0 || identity > IDENTITY_MAX)
		return drop(packet, DROP_REASON_INVALID_IDENTITY);
	packet->source_identity = identity;
	packet->tunnel_sender = *node;
	return VERDICT_CONTINUE;
}

/* What the VXLAN device took off. */
static __always_inline verdict_t decap_identity(struct __sk_buff *skb, struct packet *packet)
{
	__u32 identity = 0;
	struct address node = tunnel_get(skb, &identity);

	if (address_is_zero(&node))
		return drop(packet, DROP_REASON_NO_TUNNEL_KEY);
	return decap_believe(packet, &node, identity);
}
