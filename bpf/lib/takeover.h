/*
 * While an upgrade takes tables over into ones of another layout, a connection that has just begun may stand in the
 * former ones alone. Programs that do not find it would pass its packets on as those of another, and the other side
 * would reset it. They drop them instead, until the agent has copied the rest: TCP sends again.
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

/* Of a packet whose connection was not found. */
static __always_inline bool takeover_hides(const struct packet *packet)
{
	struct takeover *takeover;
	__u32 zero = 0;
	__u64 now;

	if (packet->tuple.protocol != IPPROTO_TCP)
		return false;
	takeover = bpf_map_lookup_elem(&takeovers, &zero);
	if (!takeover || takeover->until_ns == 0)
		return false;
	now = bpf_ktime_get_ns();
	return now < takeover->until_ns && (!packet_is_syn(packet) || now >= takeover->strict_ns);
}
