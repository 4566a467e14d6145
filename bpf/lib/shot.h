/*
 * Which packet our program gives up: right after it returns, the kernel frees that packet on the same CPU and gives its
 * own reason, the one that it has for any program of traffic control. Ours have been counted; those of others have not.
 */
#pragma once
#include <linux/pkt_cls.h>
#include "map.h"

/* [0] of each CPU: the address of the socket buffer, 0 when it has been seen to go. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} shot_packets SEC(".maps");

/* Returns the action. */
static __always_inline int shot_note(struct __sk_buff *skb, int action)
{
	__u32 zero = 0;
	__u64 *shot;

	if (action != TC_ACT_SHOT)
		return action;
	shot = bpf_map_lookup_elem(&shot_packets, &zero);
	if (shot)
		*shot = (__u64)skb;
	return action;
}

/* For the program that sees packets freed: true once for each that was noted. */
static __always_inline bool shot_take(__u64 packet)
{
	__u32 zero = 0;
	__u64 *shot = bpf_map_lookup_elem(&shot_packets, &zero);

	if (!shot || *shot != packet)
		return false;
	*shot = 0;
	return true;
}
