/* The tunnel's metadata, which the VXLAN device turns into headers and back: a node and, as VNI, an identity. */
#pragma once
#include "address.h"
#include "config.h"
#include "map.h"
#include "packet.h"

#define TUNNEL_TTL 64

/* The tunnel's own packets: VXLAN's port is its own on every address of the node. */
static __always_inline bool tunnel_carries(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_UDP && packet->tuple.destination_port == config_tunnel_port;
}

static __always_inline bool tunnel_set(struct __sk_buff *skb, const struct address *node, __u32 identity)
{
	struct bpf_tunnel_key key = {.tunnel_id = identity, .tunnel_ttl = TUNNEL_TTL};

	if (!address_is_ipv4(node)) {
		/* UDP over IPv6 needs its checksum (RFC 8200 8.1); over IPv4 the inner ones suffice. */
		__builtin_memcpy(key.remote_ipv6, node->words, sizeof(key.remote_ipv6));
		return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6) == 0;
	}
	key.remote_ipv4 = bpf_ntohl(node->words[3]); /* host order, as bpf_helpers(7) has it */
	return bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) == 0;
}

/* The outer source address; all zero when the packet did not come by a tunnel. */
static __always_inline struct address tunnel_get(struct __sk_buff *skb, __u32 *identity)
{
	struct bpf_tunnel_key key = {};
	struct address node = {};

	if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) == 0)
		node = address_from_ipv4(bpf_htonl(key.remote_ipv4));
	else if (bpf_skb_get_tunnel_key(skb, &key, sizeof(key), BPF_F_TUNINFO_IPV6) == 0)
		__builtin_memcpy(&node, key.remote_ipv6, sizeof(node));
	*identity = key.tunnel_id;
	return node;
}
