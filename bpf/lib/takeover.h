/*
 * While an upgrade takes tables over into ones of another layout, a connection that has just begun may stand in the
 * former ones alone. Programs that do not find it would pass its packets on as those of another, and the other side
 * would reset it. They drop them instead, until the agent has copied the rest: TCP sends again.
 *
 * Nobody sends datagrams again, or after seconds (DNS): they pass, and their connection is made anew. Backends are
 * chosen by the client's address and port meanwhile, in the former programs as in the new ones, so that it is the same
 * one; a source keeps its port, where that is free. An answer on its way to a translated source whose row is not copied
 * yet is lost.
 */
#pragma once
#include <linux/in.h>
#include "map.h"
#include "packet.h"

/* By bpf_ktime_get_ns. The agent takes it back when it is done, and may die before. */
struct takeover {
	/*
	 * From then on SYNs as well: one that is sent again, for its answer was dropped, would be given another
	 * backend. Nobody sends one again within a second (RFC 6298 2.1), which is longer than it takes.
	 */
	__u64 strict_ns;
	__u64 until_ns;
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct takeover);
} takeovers SEC(".maps");

/* NULL: tables are not taken over now. */
static __always_inline struct takeover *takeover_find(void)
{
	struct takeover *takeover;
	__u32 zero = 0;

	takeover = bpf_map_lookup_elem(&takeovers, &zero);
	if (!takeover || takeover->until_ns == 0)
		return NULL;
	return bpf_ktime_get_ns() < takeover->until_ns ? takeover : NULL;
}

/* Global, as those below, so that the verifier looks at it once. */
__noinline int takeover_is_on(void)
{
	return takeover_find() != NULL;
}

/* Of a packet whose connection was not found. */
__noinline int takeover_hides(const struct packet *packet)
{
	struct takeover *takeover;

	if (!packet || packet->tuple.protocol != IPPROTO_TCP)
		return 0;
	takeover = takeover_find();
	return takeover && (!packet_is_syn(packet) || bpf_ktime_get_ns() >= takeover->strict_ns);
}

/*
 * Of one that needs no connection of ours, as most of the node's own and of those that it forwards, and that would
 * leave untranslated if it had one: for no longer than an upgrade takes. Should the agent die in the midst, a node that
 * answers nobody for seconds is worse than a connection that is reset.
 */
__noinline int takeover_may_hide(const struct packet *packet)
{
	struct takeover *takeover;

	if (!packet || packet->tuple.protocol != IPPROTO_TCP || packet->lacks_ports || packet_is_syn(packet))
		return 0;
	takeover = takeover_find();
	return takeover && bpf_ktime_get_ns() < takeover->strict_ns;
}
