/* Drops: counters, which are exact, and events, which have a budget (event.h). */
#pragma once
#include "config.h"
#include "event.h"
#include "explanation.h"
#include "limits.h"
#include "map.h"
#include "packet.h"

#define EVENT_PACKET_BYTES 96

struct drop_event {
	/* enum event_type */
	__u8 type;
	/* enum drop_reason */
	__u8 reason;
	/* enum direction, seen from the pod */
	__u8 direction;
	/* enum trace_point */
	__u8 trace_point;
	__u32 ifindex;
	__u64 timestamp_ns;
	/* What could be parsed; zero where the packet ended before. */
	struct tuple tuple;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 endpoint_id;
	__u32 packet_length;
	/* Source line that decided, as in the object's line info. */
	__u32 line;
	__u32 captured_length;
	__u8 packet[EVENT_PACKET_BYTES];
};

struct counter_key {
	/* enum drop_reason */
	__u8 reason;
	/* enum direction */
	__u8 direction;
	__u8 reserved[2];
};

struct counter {
	__u64 packets;
	__u64 bytes;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, COUNTERS_MAX);
	__type(key, struct counter_key);
	__type(value, struct counter);
} counters SEC(".maps");

static __always_inline struct counter *counter_of(enum drop_reason reason, enum direction direction)
{
	struct counter_key key = {.reason = reason, .direction = direction};
	struct counter *counter = bpf_map_lookup_elem(&counters, &key);
	const struct counter zero = {};

	if (counter)
		return counter;
	bpf_map_update_elem(&counters, &key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&counters, &key);
}

static __always_inline void counter_add(const struct packet *packet, enum drop_reason reason, __u32 length)
{
	struct counter *counter = counter_of(reason, packet->direction);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += length;
}

/* NULL: not now, and counted. */
static __always_inline struct drop_event *drop_event_reserve(enum drop_reason reason)
{
	__u64 now = bpf_ktime_get_ns();
	struct drop_event *event = event_reserve(EVENT_TYPE_DROP, sizeof(*event), now);

	if (!event)
		return NULL;
	event->type = EVENT_TYPE_DROP;
	event->reason = reason;
	event->timestamp_ns = now;
	return event;
}

static __always_inline void drop_event_send(struct __sk_buff *skb, const struct packet *packet, enum drop_reason reason)
{
	struct drop_event *event = drop_event_reserve(reason);
	__u32 length = skb->len;

	if (!event)
		return;
	event->direction = packet->direction;
	event->trace_point = packet->trace_point;
	event->ifindex = skb->ifindex;
	event->tuple = packet->tuple;
	event->source_identity = packet->source_identity;
	event->destination_identity = packet->destination_identity;
	event->endpoint_id = packet->endpoint_id;
	event->packet_length = length;
	event->line = packet->line;

	if (length > EVENT_PACKET_BYTES)
		length = EVENT_PACKET_BYTES;
	/* The ring is not zeroed: what the packet does not fill must not show older events. */
	__builtin_memset(event->packet, 0, EVENT_PACKET_BYTES);
	/* The verifier wants to see that the length is not 0 (6.6: "R4 invalid zero-sized read"). */
	if (length > 0 && bpf_skb_load_bytes(skb, 0, event->packet, length) != 0)
		length = 0;
	event->captured_length = length;
	bpf_ringbuf_submit(event, 0);
}

/* Returns because a global function must. */
__noinline int drop_report(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (!packet)
		return 0;
	if (config_dry_run) {
		explanation_of_drop(packet, verdict);
		return 0;
	}
	counter_add(packet, verdict_reason(verdict), skb->len);
	drop_event_send(skb, packet, verdict_reason(verdict));
	return 0;
}
