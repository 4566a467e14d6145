/*
 * Connection tracking (ct). Two tables: what is not yet established lives in an LRU (`conntrack_new`), a handshake or
 * a first reply moves it into a plain hash (`conntrack`), which no flood can evict.
 */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

/* In the direction of the connection's first packet. ICMP echo: the identifier stands in source_port, 0 in the other. */
struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
};

enum ct_state {
	CT_STATE_NEW = 0,
	CT_STATE_ESTABLISHED = 1,
	/* A FIN in one direction. */
	CT_STATE_CLOSING = 2,
	/* FINs in both directions, or a RST. */
	CT_STATE_CLOSED = 3,
};

struct connection {
	/* CLOCK_BOOTTIME; past it the entry counts as absent. */
	__u64 expires_ns;
	__u64 created_ns;
	/* [0] in the tuple's direction, [1] replies. */
	__u64 packets[2];
	__u64 bytes[2];
	__u32 source_identity;
	__u32 destination_identity;
	/* Not 0: replies leave with this frontend's address. */
	__u32 rev_nat_index;
	/* enum ct_state */
	__u8 state;
	__u8 flags;
	/* Union of the TCP flags seen, by direction as above. */
	__u8 tcp_flags[2];
	__u32 reserved[8];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNTRACK_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tuple);
	__type(value, struct connection);
} conntrack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNTRACK_NEW_MAX);
	__type(key, struct tuple);
	__type(value, struct connection);
} conntrack_new SEC(".maps");
