/* Drop reasons, events and counters: no packet is dropped by us without all three. */
#pragma once
#include "address.h"
#include "conntrack.h"
#include "limits.h"
#include "map.h"

/* Numbers are part of the interface (metrics, events): only append. */
enum drop_reason {
	/* Not a drop: the counter's key for forwarded packets. */
	DROP_REASON_FORWARDED = 0,
	DROP_REASON_INVALID_PACKET = 1,
	DROP_REASON_UNKNOWN_ETHERTYPE = 2,
	DROP_REASON_UNKNOWN_PROTOCOL = 3,
	DROP_REASON_INVALID_SOURCE_ADDRESS = 4,
	DROP_REASON_INVALID_SOURCE_MAC = 5,
	DROP_REASON_MAPPED_ADDRESS = 6,
	DROP_REASON_INVALID_TCP_FLAGS = 7,
	DROP_REASON_STALE_OR_UNROUTABLE = 8,
	DROP_REASON_NO_TUNNEL_KEY = 9,
	DROP_REASON_ENCAP_FAILED = 10,
	DROP_REASON_INVALID_IDENTITY = 11,
	DROP_REASON_TTL_EXCEEDED = 12,
	DROP_REASON_CT_CREATE_FAILED = 13,
	DROP_REASON_NO_BACKEND = 14,
	DROP_REASON_SERVICE_NOT_TRANSLATED = 15,
	DROP_REASON_WRITE_FAILED = 16,
	DROP_REASON_FRAGMENT_UNSUPPORTED = 17,
	DROP_REASON_INVALID_NEIGHBOUR_REQUEST = 18,
	DROP_REASON_TOO_BIG = 19,
	DROP_REASON_MAX = 20,
};

enum direction {
	DIRECTION_INGRESS = 0,
	DIRECTION_EGRESS = 1,
};

enum trace_point {
	TRACE_POINT_FROM_POD = 0,
	TRACE_POINT_TO_POD = 1,
	TRACE_POINT_FROM_OVERLAY = 2,
	TRACE_POINT_TO_OVERLAY = 3,
	TRACE_POINT_FROM_HOST = 4,
	TRACE_POINT_TO_HOST = 5,
};

enum event_type {
	EVENT_TYPE_DROP = 1,
};

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
	/* CLOCK_BOOTTIME */
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

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, EVENTS_BYTES);
} events SEC(".maps");

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

/* [0]: events that found the ring full. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} event_losses SEC(".maps");
