/* The tunnel: VXLAN, the source's identity in the VNI. */
#pragma once
#include "config.h"
#include "conntrack.h"
#include "identity.h"
#include "ipcache.h"
#include "packet.h"

#define TUNNEL_TTL 64

/* What fits into the tunnel to this node: the route there may be narrower than our device. */
static __always_inline verdict_t encap_check_size(struct __sk_buff *skb, struct packet *packet,
						  const struct ipcache_entry *entry)
{
	__u32 mtu = 0;

	/* An IPv4 packet that may be fragmented is, outside. */
	if (!packet->dont_fragment)
		return VERDICT_CONTINUE;
	/* Fails when the device is gone, which the redirect will find out. */
	bpf_check_mtu(skb, config_overlay_ifindex, &mtu, 0, 0);
	if (entry->mtu != 0 && entry->mtu < mtu)
		mtu = entry->mtu;
	if (mtu == 0 || packet->wire_length <= mtu)
		return VERDICT_CONTINUE;
	packet->mtu = mtu;
	return drop(packet, DROP_REASON_TOO_BIG);
}

static __always_inline void tunnel_key_set_remote(struct bpf_tunnel_key *key, const struct address *node)
{
	if (address_is_ipv4(node))
		key->remote_ipv4 = bpf_ntohl(node->words[3]); /* host order, as bpf_helpers(7) has it */
	else
		__builtin_memcpy(key->remote_ipv6, node->words, sizeof(key->remote_ipv6));
}

static __always_inline verdict_t encap_redirect(struct __sk_buff *skb, struct packet *packet,
						const struct ipcache_entry *entry)
{
	bool is_ipv4 = address_is_ipv4(&entry->tunnel_endpoint);
	struct bpf_tunnel_key key = {.tunnel_id = packet->source_identity, .tunnel_ttl = TUNNEL_TTL};

	packet->destination_identity = entry->identity;
	if (packet->source_identity == 0 || packet->source_identity > IDENTITY_MAX)
		return drop(packet, DROP_REASON_INVALID_IDENTITY);
	STEP(encap_check_size(skb, packet, entry));
	tunnel_key_set_remote(&key, &entry->tunnel_endpoint);
	/* UDP over IPv6 needs its checksum (RFC 8200 8.1); over IPv4 the inner ones suffice. */
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), is_ipv4 ? BPF_F_ZERO_CSUM_TX : BPF_F_TUNINFO_IPV6))
		return drop(packet, DROP_REASON_ENCAP_FAILED);
	STEP(ct_commit(skb, packet));
	return bpf_redirect(config_overlay_ifindex, 0);
}

/* The outer source address; all zero when the packet did not come by a tunnel. */
static __always_inline struct address tunnel_key_load(struct __sk_buff *skb, struct bpf_tunnel_key *key)
{
	struct address node = {};

	if (bpf_skb_get_tunnel_key(skb, key, sizeof(*key), 0) == 0)
		return address_from_ipv4(bpf_htonl(key->remote_ipv4)); /* host order, as bpf_helpers(7) has it */
	if (bpf_skb_get_tunnel_key(skb, key, sizeof(*key), BPF_F_TUNINFO_IPV6) == 0)
		__builtin_memcpy(&node, key->remote_ipv6, sizeof(node));
	return node;
}

/*
 * What the VXLAN device took off: who sent, by the VNI. Believed only if a node sent it: a pod can send UDP to our
 * tunnel's port, too, and would choose its identity and source address.
 */
static __always_inline verdict_t decap_identity(struct __sk_buff *skb, struct packet *packet)
{
	struct bpf_tunnel_key key = {};
	struct address node = tunnel_key_load(skb, &key);
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache, &node);

	if (address_is_zero(&node))
		return drop(packet, DROP_REASON_NO_TUNNEL_KEY);
	if (!entry || !(entry->flags & IPCACHE_FLAG_NODE))
		return drop(packet, DROP_REASON_INVALID_TUNNEL_SENDER);
	if (key.tunnel_id == 0 || key.tunnel_id > IDENTITY_MAX)
		return drop(packet, DROP_REASON_INVALID_IDENTITY);
	packet->source_identity = key.tunnel_id;
	return VERDICT_CONTINUE;
}
