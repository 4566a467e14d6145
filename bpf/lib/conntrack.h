/*
 * Connection tracking (ct). Two tables: what is not yet established lives in an LRU (`conntrack_new`), a handshake or
 * a first reply moves it into a plain hash (`conntrack`), which no flood can evict.
 */
#pragma once
#include "config.h"
#include "drop.h"
#include "limits.h"
#include "map.h"
#include "packet.h"

enum ct_state {
	CT_STATE_NEW = 0,
	CT_STATE_ESTABLISHED = 1,
	/* A FIN in one direction. */
	CT_STATE_CLOSING = 2,
	/* FINs in both directions, or a RST. */
	CT_STATE_CLOSED = 3,
};

struct connection {
	/* Past it the entry counts as absent. */
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

#define SECOND_NS 1000000000ULL

enum ct_status {
	/* The first packet of a connection, or one that could not be remembered. */
	CT_STATUS_NEW = 0,
	CT_STATUS_ESTABLISHED = 1,
	CT_STATUS_REPLY = 2,
	/* An ICMP error about a known connection. */
	CT_STATUS_RELATED = 3,
};

/* Where a connection was found, and in which direction the packet goes. */
struct ct_place {
	struct connection *connection;
	/* The connection's tuple: the packet's, or its reverse. */
	struct tuple tuple;
	/* Index into packets, bytes and tcp_flags. */
	__u32 direction;
	bool is_promoted;
	__u8 reserved[3];
};

static __always_inline __u64 ct_timeout_ns(const struct connection *connection, bool is_tcp)
{
	if (connection->state >= CT_STATE_CLOSING)
		return 10 * SECOND_NS;
	/* Above net.ipv4.tcp_keepalive_time (7200 s): a connection that is kept alive is never forgotten. */
	if (is_tcp && connection->state == CT_STATE_ESTABLISHED)
		return 8000 * SECOND_NS;
	return 60 * SECOND_NS;
}

static __always_inline bool ct_find(struct ct_place *place, const struct tuple *tuple)
{
	place->tuple = *tuple;
	place->direction = 0;
	place->is_promoted = true;
	place->connection = bpf_map_lookup_elem(&conntrack, &place->tuple);
	if (place->connection)
		return true;
	place->tuple = tuple_reverse(tuple);
	place->direction = 1;
	place->connection = bpf_map_lookup_elem(&conntrack, &place->tuple);
	if (place->connection)
		return true;
	place->is_promoted = false;
	place->connection = bpf_map_lookup_elem(&conntrack_new, &place->tuple);
	if (place->connection)
		return true;
	place->tuple = *tuple;
	place->direction = 0;
	place->connection = bpf_map_lookup_elem(&conntrack_new, &place->tuple);
	return place->connection != NULL;
}

/* A SYN on a connection that has ended begins another one with the same ports. */
static __always_inline bool ct_is_over(const struct packet *packet, const struct connection *connection, __u64 now)
{
	if (connection->expires_ns <= now)
		return true;
	return connection->state >= CT_STATE_CLOSING &&
	       (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

static __always_inline void ct_advance_tcp(struct connection *connection)
{
	__u8 all = connection->tcp_flags[0] | connection->tcp_flags[1];
	__u8 both = connection->tcp_flags[0] & connection->tcp_flags[1];

	if ((all & TCP_FLAG_RST) || (both & TCP_FLAG_FIN))
		connection->state = CT_STATE_CLOSED;
	else if (all & TCP_FLAG_FIN)
		connection->state = CT_STATE_CLOSING;
	/* Both have acknowledged: the handshake is done, or we came in the middle of a connection. */
	else if (both & TCP_FLAG_ACK)
		connection->state = CT_STATE_ESTABLISHED;
}

/* Two CPUs may write at once; a lost count is harmless, and flags are seen again with the next packet. */
static __always_inline void ct_advance(struct __sk_buff *skb, struct connection *connection,
				       const struct packet *packet, __u32 direction, __u64 now)
{
	bool is_tcp = packet->tuple.protocol == IPPROTO_TCP && packet->fragment != FRAGMENT_LATER;

	direction &= 1;
	connection->packets[direction]++;
	connection->bytes[direction] += skb->len;
	if (is_tcp) {
		connection->tcp_flags[direction] |= packet->tcp_flags;
		ct_advance_tcp(connection);
	} else if (direction == 1) {
		connection->state = CT_STATE_ESTABLISHED;
	}
	connection->expires_ns = now + ct_timeout_ns(connection, is_tcp);
}

/*
 * Where no flood can evict it. When that table is full the connection stays where it was, tracked but evictable, and
 * each of its packets tries again: the count is of packets.
 */
static __always_inline void ct_promote(struct __sk_buff *skb, const struct packet *packet, const struct ct_place *place)
{
	if (bpf_map_update_elem(&conntrack, &place->tuple, place->connection, BPF_ANY) == 0)
		bpf_map_delete_elem(&conntrack_new, &place->tuple);
	else
		counter_add(skb, packet, DROP_REASON_CT_CREATE_FAILED);
}

static __always_inline void ct_forget(const struct ct_place *place)
{
	if (place->is_promoted)
		bpf_map_delete_elem(&conntrack, &place->tuple);
	else
		bpf_map_delete_elem(&conntrack_new, &place->tuple);
}

/* May fail (LRU under pressure, EBUSY before 6.15): counted, and the packet passes, as nothing depends on it yet. */
static __always_inline void ct_create(struct __sk_buff *skb, const struct packet *packet, __u64 now)
{
	struct connection connection = {
	    .created_ns = now,
	    .source_identity = packet->source_identity,
	    .destination_identity = packet->destination_identity,
	};

	ct_advance(skb, &connection, packet, 0, now);
	if (bpf_map_update_elem(&conntrack_new, &packet->tuple, &connection, BPF_ANY) != 0)
		counter_add(skb, packet, DROP_REASON_CT_CREATE_FAILED);
}

static __always_inline enum ct_status ct_track_icmp_error(struct __sk_buff *skb, const struct packet *packet)
{
	struct ct_place place;
	struct tuple inner;

	if (!packet_parse_inner(skb, packet, &inner) || !ct_find(&place, &inner))
		return CT_STATUS_NEW;
	if (!config_dry_run) {
		/* The error travels against the packet that it speaks of. */
		__u32 direction = (place.direction ^ 1) & 1;

		place.connection->packets[direction]++;
		place.connection->bytes[direction] += skb->len;
	}
	return CT_STATUS_RELATED;
}

/* Once per packet and node: every way through us ends in one call of this. */
__noinline enum ct_status ct_track(struct __sk_buff *skb, const struct packet *packet)
{
	__u64 now = bpf_ktime_get_ns();
	struct ct_place place;

	if (!packet)
		return CT_STATUS_NEW;
	if (packet->is_icmp_error)
		return ct_track_icmp_error(skb, packet);
	if (ct_find(&place, &packet->tuple)) {
		if (!ct_is_over(packet, place.connection, now)) {
			if (config_dry_run)
				return place.direction == 1 ? CT_STATUS_REPLY : CT_STATUS_ESTABLISHED;
			ct_advance(skb, place.connection, packet, place.direction, now);
			if (!place.is_promoted && place.connection->state == CT_STATE_ESTABLISHED)
				ct_promote(skb, packet, &place);
			return place.direction == 1 ? CT_STATUS_REPLY : CT_STATUS_ESTABLISHED;
		}
		if (!config_dry_run)
			ct_forget(&place);
	}
	if (!config_dry_run)
		ct_create(skb, packet, now);
	return CT_STATUS_NEW;
}
