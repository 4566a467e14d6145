/*
 * While an upgrade takes tables over into ones of another layout, a connection that has just begun may stand in the
 * former ones alone. Programs that do not find it would pass its packets on as those of another, and the other side
 * would reset it. They drop them instead, until the agent has copied the rest: TCP sends again.
 */
#pragma once
#include <linux/in.h>
#include "map.h"
#include "packet.h"

/* [0]: until when, by bpf_ktime_get_ns; the agent takes it back when it is done, and may die before. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} takeover SEC(".maps");

/* Of a packet whose connection was not found. One that begins a connection is what it is. */
static __always_inline bool takeover_hides(const struct packet *packet)
{
	__u32 zero = 0;
	__u64 *until_ns;

	if (packet->tuple.protocol != IPPROTO_TCP || packet_is_syn(packet))
		return false;
	until_ns = bpf_map_lookup_elem(&takeover, &zero);
	return until_ns && *until_ns > bpf_ktime_get_ns();
}
