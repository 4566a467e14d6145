/*
 * Events: what the programs tell the agent, as they happen, in one ring. Counters are exact; events are sent as long as
 * the CPU's budget for their type lasts, so that no flood of one kind keeps the agent reading about it, or hides
 * another kind. What is left out is counted.
 */
#pragma once
#include "limits.h"
#include "map.h"

enum event_type {
	EVENT_TYPE_DROP = 1,
	EVENT_TYPE_TRACE = 2,
	/* See kfree.h. */
	EVENT_TYPE_KERNEL_DROP = 3,
	EVENT_TYPE_MAX = 4,
};

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

/* [event type]: events that found the ring full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_TYPE_MAX);
	__type(key, __u32);
	__type(value, __u64);
} event_losses SEC(".maps");

struct event_budget {
	/* Up to when the budget is spent: every event moves it on by one interval. */
	__u64 spent_until_ns;
	/* Events that were not sent for want of it. */
	__u64 withheld;
};

/* [event type] of each CPU. Its programs do not interrupt each other, so nobody else writes. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, EVENT_TYPE_MAX);
	__type(key, __u32);
	__type(value, struct event_budget);
} event_budgets SEC(".maps");

/* A token bucket kept as a time (GCRA): full when it is EVENT_BURST_MAX intervals ago that anything was spent. */
static __always_inline bool event_is_affordable(__u32 type, __u64 now)
{
	struct event_budget *budget = bpf_map_lookup_elem(&event_budgets, &type);
	__u64 full = now - EVENT_BURST_MAX * EVENT_INTERVAL_NS;

	if (!budget)
		return false;
	if (budget->spent_until_ns < full)
		budget->spent_until_ns = full;
	if (budget->spent_until_ns + EVENT_INTERVAL_NS > now) {
		budget->withheld++;
		return false;
	}
	budget->spent_until_ns += EVENT_INTERVAL_NS;
	return true;
}

static __always_inline void event_lost(__u32 type)
{
	__u64 *losses = bpf_map_lookup_elem(&event_losses, &type);

	if (losses)
		*losses += 1;
}

/* NULL: not now, and counted. What the caller does not fill is whatever was in the ring before. */
static __always_inline void *event_reserve(enum event_type type, __u64 size, __u64 now)
{
	void *event;

	if (!event_is_affordable(type, now))
		return NULL;
	event = bpf_ringbuf_reserve(&events, size, 0);
	if (!event)
		event_lost(type);
	return event;
}
