/*
 * Where a packet goes, told by a dry run. A redirect leaves no trace that could be read, so the look-ups that led to it
 * are done once more, in the order in which the steps do them (route.h).
 */
#pragma once
#include "explanation.h"
#include "route.h"

static __always_inline void explain_device(struct __sk_buff *skb, const struct packet *packet,
					   struct explanation *explanation)
{
	struct bpf_fib_lookup fib = {};

	fib_fill(&fib, packet, skb->ifindex);
	explanation->way = WAY_HOST;
	explanation->ifindex = config_host_ifindex;
	if (!config_host_routing ||
	    bpf_fib_lookup(skb, &fib, sizeof(fib), BPF_FIB_LOOKUP_SKIP_NEIGH) != BPF_FIB_LKUP_RET_SUCCESS ||
	    !device_lookup(fib.ifindex))
		return;
	explanation->way = WAY_DEVICE;
	explanation->ifindex = fib.ifindex;
	if (fib.family == 2 /* AF_INET */)
		explanation->next_hop = address_from_ipv4(fib.ipv4_dst);
	else
		__builtin_memcpy(&explanation->next_hop, fib.ipv6_dst, sizeof(explanation->next_hop));
}

static __always_inline void explain_remote(struct __sk_buff *skb, const struct packet *packet,
					   struct explanation *explanation)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.destination);

	if (!entry || address_is_zero(&entry->tunnel_endpoint)) {
		explain_device(skb, packet, explanation);
		return;
	}
	explanation->way = WAY_TUNNEL;
	explanation->ifindex = config_overlay_ifindex;
	explanation->next_hop = entry->tunnel_endpoint;
}

/* Not global: the verifier looks at it only where a dry run calls it, and removes it everywhere else. */
static __noinline int explain_way(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	struct explanation *explanation = explanation_begin(packet);
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.destination);

	if (!explanation)
		return 0;
	if (verdict != TC_ACT_REDIRECT) {
		/* To whom the frame is addressed: the host's stack, as it is. */
		explanation->way = WAY_HOST;
		explanation->ifindex = skb->ifindex;
	} else if (endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST)) {
		explanation->way = WAY_HOST;
		explanation->ifindex = config_host_ifindex;
	} else if (endpoint) {
		explanation->way = WAY_POD;
		explanation->ifindex = endpoint->ifindex;
	} else {
		explain_remote(skb, packet, explanation);
	}
	return 0;
}

static __always_inline void forward_report(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (config_dry_run)
		explain_way(skb, packet, verdict);
	else
		counter_add(packet, DROP_REASON_FORWARDED, skb->len);
}
