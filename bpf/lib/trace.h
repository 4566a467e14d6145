/*
 * Trace events: one for each change of a connection's state, not for each packet. They tell what a person wants to see
 * of a connection, translations included; how much has gone through it is in the last.
 */
#pragma once
#include "config.h"
#include "connection.h"
#include "event.h"
#include "packet.h"

struct trace_event {
	/* enum event_type */
	__u8 type;
	/* enum ct_state, the new one */
	__u8 state;
	/* enum direction, seen from the pod, of the packet that changed it */
	__u8 direction;
	/* enum trace_point */
	__u8 trace_point;
	__u32 ifindex;
	__u64 timestamp_ns;
	/* The connection's, not the packet's. */
	struct tuple tuple;
	/* See struct connection. */
	struct tuple_end dnat;
	struct tuple_end snat;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 endpoint_id;
	/* Union of the TCP flags seen, [0] in the tuple's direction, [1] replies. */
	__u8 tcp_flags[2];
	__u8 reserved[2];
	__u64 packets[2];
	__u64 bytes[2];
};

/* Returns because a global function must. */
__noinline int trace_report(struct __sk_buff *skb, const struct packet *packet, const struct tuple *tuple,
			    const struct connection *connection)
{
	__u64 now = bpf_ktime_get_ns();
	struct trace_event *event;

	if (!packet || !tuple || !connection || config_dry_run)
		return 0;
	event = event_reserve(EVENT_TYPE_TRACE, sizeof(*event), now);
	if (!event)
		return 0;
	event->type = EVENT_TYPE_TRACE;
	event->state = connection->state;
	event->direction = packet->direction;
	event->trace_point = packet->trace_point;
	event->ifindex = skb->ifindex;
	event->timestamp_ns = now;
	event->tuple = *tuple;
	event->dnat = connection->dnat;
	event->snat = connection->snat;
	event->source_identity = connection->source_identity;
	event->destination_identity = connection->destination_identity;
	event->endpoint_id = packet->endpoint_id;
	event->tcp_flags[0] = connection->tcp_flags[0];
	event->tcp_flags[1] = connection->tcp_flags[1];
	event->reserved[0] = 0;
	event->reserved[1] = 0;
	event->packets[0] = connection->packets[0];
	event->packets[1] = connection->packets[1];
	event->bytes[0] = connection->bytes[0];
	event->bytes[1] = connection->bytes[1];
	bpf_ringbuf_submit(event, 0);
	return 0;
}
