/* What XDP has done itself, by where it sent it: the only trace of packets that nothing behind it sees. */
#pragma once
#include "drop.h"

enum frame_way {
	/* To a backend's node, in the tunnel. */
	FRAME_WAY_TUNNEL = 0,
	/* To a client in the world, out of the tunnel. */
	FRAME_WAY_WORLD = 1,
	FRAME_WAY_MAX = 2,
};

/* [enum frame_way] of each CPU. They are among the forwarded of `counters` as well. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, FRAME_WAY_MAX);
	__type(key, __u32);
	__type(value, struct counter);
} frame_counters SEC(".maps");

static __always_inline void frame_count(enum frame_way way, __u32 length)
{
	__u32 key = way;
	struct counter *counter = bpf_map_lookup_elem(&frame_counters, &key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
}
