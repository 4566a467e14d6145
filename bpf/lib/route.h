/* Where a packet goes: a pod here, a node there, or the world. */
#pragma once
#include "deliver.h"
#include "device.h"
#include "encap.h"
#include "service.h"

static __always_inline verdict_t route_to_endpoint(struct __sk_buff *skb, struct packet *packet,
						   const struct endpoint *endpoint, bool is_routed)
{
	if (!endpoint)
		return VERDICT_CONTINUE;
	if (endpoint->flags & ENDPOINT_FLAG_HOST)
		return deliver_host(skb, packet, endpoint->identity);
	if (is_routed)
		STEP(packet_decrement_hop_limit(skb, packet));
	return deliver_local(skb, packet, endpoint);
}

/* A pod of this node, or the node itself. */
static __always_inline verdict_t route_local(struct __sk_buff *skb, struct packet *packet, bool is_routed)
{
	return route_to_endpoint(skb, packet, endpoint_lookup(&packet->tuple.destination), is_routed);
}

/* A pod of another node, or that node. */
static __always_inline verdict_t route_tunnel(struct __sk_buff *skb, struct packet *packet, bool is_routed)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.destination);

	if (!entry)
		return VERDICT_CONTINUE;
	packet->destination_identity = entry->identity;
	packet->is_unroutable = (entry->flags & IPCACHE_FLAG_UNROUTABLE) != 0;
	if (address_is_zero(&entry->tunnel_endpoint))
		return VERDICT_CONTINUE;
	/* Another node's process has come to a way in by the network: so goes its answer. */
	if ((entry->flags & IPCACHE_FLAG_NODE) && !tuple_end_is_none(&packet->reply_source))
		return VERDICT_CONTINUE;
	if (is_routed)
		STEP(packet_decrement_hop_limit(skb, packet));
	return encap_redirect(skb, packet, entry);
}

static __always_inline void fib_fill(struct bpf_fib_lookup *fib, const struct packet *packet, __u32 ifindex)
{
	fib->ifindex = ifindex;
	fib->l4_protocol = packet->tuple.protocol;
	fib->sport = packet->tuple.source_port;
	fib->dport = packet->tuple.destination_port;
	fib->tot_len = packet->wire_length;
	if (packet_is_ipv4(packet)) {
		fib->family = 2; /* AF_INET */
		fib->ipv4_src = packet->tuple.source.words[3];
		fib->ipv4_dst = packet->tuple.destination.words[3];
	} else {
		fib->family = 10; /* AF_INET6 */
		__builtin_memcpy(fib->ipv6_src, packet->tuple.source.words, sizeof(fib->ipv6_src));
		__builtin_memcpy(fib->ipv6_dst, packet->tuple.destination.words, sizeof(fib->ipv6_dst));
	}
}

/* Out of the device that the route names; the kernel resolves the neighbour. */
static __always_inline verdict_t route_out(struct __sk_buff *skb, struct packet *packet,
					   const struct bpf_fib_lookup *fib)
{
	struct bpf_redir_neigh next = {.nh_family = fib->family};

	__builtin_memcpy(next.ipv6_nh, fib->ipv6_dst, sizeof(next.ipv6_nh));
	STEP(packet_decrement_hop_limit(skb, packet));
	STEP(ct_commit(skb, packet));
	return bpf_redirect_neigh(fib->ifindex, &next, sizeof(next), 0);
}

/*
 * Past the host's stack, by its own routes and rules. What the programs cannot do is left to the stack: to fragment, to
 * send by a device that we do not look after, or that is no Ethernet device.
 */
__noinline verdict_t route_fib(struct __sk_buff *skb, struct packet *packet)
{
	struct bpf_fib_lookup fib = {};
	long result;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	fib_fill(&fib, packet, skb->ifindex);
	result = bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_SKIP_NEIGH);
	switch (result) {
	case BPF_FIB_LKUP_RET_SUCCESS:
		return device_lookup(fib.ifindex) ? route_out(skb, packet, &fib) : VERDICT_CONTINUE;
	case BPF_FIB_LKUP_RET_FRAG_NEEDED:
		packet->mtu = fib.mtu_result;
		return packet->dont_fragment ? drop(packet, DROP_REASON_TOO_BIG) : VERDICT_CONTINUE;
	case BPF_FIB_LKUP_RET_BLACKHOLE:
	case BPF_FIB_LKUP_RET_UNREACHABLE:
	case BPF_FIB_LKUP_RET_PROHIBIT:
		return drop(packet, DROP_REASON_NO_ROUTE);
	}
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t route_world(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->is_unroutable)
		return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
	if (packet->destination_identity == 0)
		packet->destination_identity = IDENTITY_WORLD;
	/* The stack would take a packet with the node's own source for a forged one. */
	if (config_host_routing || packet->is_external || !tuple_end_is_none(&packet->reply_source))
		STEP(route_fib(skb, packet));
	return deliver_host(skb, packet, packet->destination_identity);
}
