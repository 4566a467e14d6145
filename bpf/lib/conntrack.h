/* Connection tracking: what packets do with connections (connection.h): move them on, create, forget. */
#pragma once
#include "config.h"
#include "drop.h"
#include "packet.h"
#include "place.h"
#include "promotion.h"
#include "rest.h"
#include "takeover.h"
#include "trace.h"

#define SECOND_NS 1000000000ULL

enum ct_status {
	/* The first packet of a connection, or one that could not be remembered. */
	CT_STATUS_NEW = 0,
	CT_STATUS_ESTABLISHED = 1,
	CT_STATUS_REPLY = 2,
	/* An ICMP error about a known connection. */
	CT_STATUS_RELATED = 3,
	/* A fragment of nobody knows which. */
	CT_STATUS_UNKNOWN = 4,
};

static __always_inline bool ct_is_one_way(const struct connection *connection)
{
	return connection->flags & CT_FLAG_ONE_WAY;
}

static __always_inline __u64 ct_timeout_ns(const struct connection *connection, bool is_tcp)
{
	if (connection->state == CT_STATE_CLOSED)
		return 10 * SECOND_NS;
	/* Whether the other side has ended it as well is not seen. As Linux waits for that (nf_conntrack, FIN_WAIT). */
	if (connection->state == CT_STATE_CLOSING && ct_is_one_way(connection))
		return 120 * SECOND_NS;
	/* Half closed: who has said all may wait long for the answer. As kube-proxy has it (tcpCloseWaitTimeout). */
	if (connection->state == CT_STATE_CLOSING)
		return 3600 * SECOND_NS;
	/* Above net.ipv4.tcp_keepalive_time (7200 s): a connection that is kept alive is never forgotten. */
	if (is_tcp && connection->state == CT_STATE_ESTABLISHED)
		return 8000 * SECOND_NS;
	return 60 * SECOND_NS;
}

/* Never NULL, which the verifier does not know. */
static __always_inline struct connection *ct_draft(enum ct_kind kind)
{
	__u32 zero = 0;
	struct connection *draft = bpf_map_lookup_elem(&connection_drafts, &zero);

	if (!draft)
		return NULL;
	__builtin_memset(draft, 0, sizeof(*draft));
	draft->created_ns = bpf_ktime_get_ns();
	draft->kind = kind;
	return draft;
}

static __always_inline bool ct_is_alive(const struct tuple *tuple)
{
	struct connection *entry = ct_entry(tuple);

	return entry && entry->kind == CT_KIND_CONNECTION && entry->expires_ns > bpf_ktime_get_ns();
}

/* A SYN on a connection that has ended begins another one with the same ports. */
static __always_inline bool ct_is_over(const struct packet *packet, const struct connection *connection, __u64 now)
{
	if (connection->expires_ns <= now)
		return true;
	return connection->state >= CT_STATE_CLOSING && packet_is_syn(packet);
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
	else if ((ct_is_one_way(connection) ? all : both) & TCP_FLAG_ACK)
		connection->state = CT_STATE_ESTABLISHED;
}

/* Datagrams without answers that go on for a while, which a flood's do not (nf_conntrack has the same limit). */
static __always_inline bool ct_is_stream(const struct connection *connection, __u64 now)
{
	return ct_is_one_way(connection) && connection->created_ns + 2 * SECOND_NS <= now;
}

/* Seconds, nearly. */
static __always_inline __u32 ct_told_now(__u64 now)
{
	return now >> 30;
}

/* Two CPUs may write at once; a lost count is harmless, and flags are seen again with the next packet. */
static __always_inline void ct_advance(struct connection *connection, const struct packet *packet, __u32 length,
				       __u32 direction, __u64 now)
{
	bool is_tcp = packet->tuple.protocol == IPPROTO_TCP && packet->fragment != FRAGMENT_LATER;

	direction &= 1;
	connection->packets[direction]++;
	connection->bytes[direction] += length;
	if (is_tcp) {
		/* Who speaks has not reset it: that was a forged one, or one that the receiver has refused. */
		if (!(packet->tcp_flags & TCP_FLAG_RST))
			connection->tcp_flags[direction] &= ~TCP_FLAG_RST;
		connection->tcp_flags[direction] |= packet->tcp_flags;
		ct_advance_tcp(connection);
	} else if (direction == 1 || ct_is_stream(connection, now)) {
		connection->state = CT_STATE_ESTABLISHED;
	}
	connection->expires_ns = now + ct_timeout_ns(connection, is_tcp);
}

static __always_inline void ct_forget(const struct tuple *tuple)
{
	bpf_map_delete_elem(&conntrack, tuple);
	bpf_map_delete_elem(&conntrack_new, tuple);
}

/*
 * To which of its frontends does a connection belong that reaches one backend by two? Datagrams of one socket may: the
 * reply comes from the one asked last, as at the socket. Of TCP it would be another connection with the same ports.
 */
static __always_inline bool ct_belongs(const struct packet *packet, struct connection *connection)
{
	bool is_learnt = packet->is_told && tuple_end_is_none(&connection->dnat);

	if (tuple_end_equal(&connection->dnat, &packet->frontend)) {
		/* It came to this node before, and by another one now. */
		if (packet->is_told && !config_dry_run)
			connection->flags |= CT_FLAG_TOLD;
		return true;
	}
	/* Not each of its packets tells. */
	if ((connection->flags & CT_FLAG_TOLD) && tuple_end_is_none(&packet->frontend))
		return true;
	if (packet->tuple.protocol == IPPROTO_TCP && !is_learnt)
		return false;
	if (config_dry_run)
		return true;
	connection->dnat = packet->frontend;
	if (packet->is_told)
		connection->flags |= CT_FLAG_TOLD;
	return true;
}

/* What was told goes before what an answer made of the connection that came when it was forgotten. */
static __always_inline bool ct_is_mistaken(const struct packet *packet, const struct ct_place *place)
{
	return packet->is_told && place->direction == 1;
}

/* Of a connection that is there: DSR or not is what it began with. */
static __always_inline void ct_recall_way(struct packet *packet, const struct connection *connection, __u64 now)
{
	if (!ct_is_one_way(connection))
		return;
	packet->is_one_way = 1;
	packet->may_tell = connection->told != ct_told_now(now);
}

#define CT_PORT_ELSEWHERE -1

/*
 * The port that a connection without a frontend was given (conflict.h), which lives. 0: none was; CT_PORT_ELSEWHERE:
 * one to another destination was.
 */
__noinline int ct_given_port(const struct packet *packet)
{
	struct tuple_end none = {}, destination, to;
	struct connection *alias;
	struct tuple tuple;
	__be16 port;

	if (!packet)
		return 0;
	tuple = ct_dnat_alias_tuple(&packet->tuple, &none, 0);
	alias = ct_alias(&tuple, CT_KIND_DNAT_ALIAS);
	if (!alias)
		return 0;
	to = alias->dnat;
	port = alias->snat.port;
	tuple = ct_dnat_alias_tuple(&packet->tuple, &to, port);
	if (!ct_is_alive(&tuple))
		return 0;
	destination = tuple_destination(&packet->tuple);
	return tuple_end_equal(&to, &destination) ? port : CT_PORT_ELSEWHERE;
}

/* Not the first of a connection whose tuple was another one's, which is over. */
static __always_inline bool ct_was_given_port(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP && !packet_is_syn(packet) &&
	       tuple_end_is_none(&packet->frontend) && ct_given_port(packet) > 0;
}

static __always_inline void ct_recall_client(struct packet *packet, const struct connection *connection)
{
	packet->reply_source = connection->dnat;
	packet->reply_port = connection->client_port;
}

/*
 * Finds the packet's connection and moves it on, once a packet and node. What is new is created when its way is
 * decided, by ct_commit. Fills ct_status, and to whom and from whom a reply is.
 */
__noinline verdict_t ct_track(struct __sk_buff *skb, struct packet *packet)
{
	__u64 now = bpf_ktime_get_ns();
	struct ct_place place;
	__u8 state;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	packet->ct_status = packet->lacks_ports ? CT_STATUS_UNKNOWN : CT_STATUS_NEW;
	if (packet->lacks_ports)
		return VERDICT_CONTINUE;
	if (!ct_find(&place, &packet->tuple)) {
		if (ct_was_given_port(packet))
			return drop(packet, DROP_REASON_NAT_CONFLICT);
		return takeover_hides(packet) ? drop(packet, DROP_REASON_TABLES_TAKEN_OVER) : VERDICT_CONTINUE;
	}
	if (ct_is_over(packet, place.connection, now) || ct_is_mistaken(packet, &place)) {
		if (place.direction == 0)
			packet->former_port = place.connection->snat.port;
		if (!config_dry_run)
			ct_forget(&place.tuple);
		return ct_was_given_port(packet) ? drop(packet, DROP_REASON_NAT_CONFLICT) : VERDICT_CONTINUE;
	}
	if (place.direction == 0 && !ct_belongs(packet, place.connection))
		return drop(packet, DROP_REASON_NAT_CONFLICT);
	packet->ct_status = place.direction == 1 ? CT_STATUS_REPLY : CT_STATUS_ESTABLISHED;
	if (place.direction == 1)
		ct_recall_client(packet, place.connection);
	if (place.direction == 0)
		ct_recall_way(packet, place.connection, now);
	if (config_dry_run)
		return VERDICT_CONTINUE;
	state = place.connection->state;
	ct_advance(place.connection, packet, skb->len, place.direction, now);
	if (place.connection->state != state) {
		trace_report(skb, packet, &place.tuple, place.connection);
		rest_begin(&place.tuple, place.connection);
	}
	if (!place.is_promoted && place.connection->state == CT_STATE_ESTABLISHED)
		ct_promote(skb, packet, &place.tuple);
	else if (place.is_promoted && place.connection->state == CT_STATE_CLOSED && ct_is_crowded())
		ct_demote(&place.tuple);
	return VERDICT_CONTINUE;
}

/* In the middle of a connection: no packet that could begin or end one. */
static __always_inline bool ct_may_be_established(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP && packet->fragment == FRAGMENT_NONE && !packet->is_told &&
	       (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_FIN | TCP_FLAG_RST | TCP_FLAG_ACK)) == TCP_FLAG_ACK;
}

static __always_inline bool ct_is_established(const struct connection *connection, __u64 now)
{
	return connection && connection->kind == CT_KIND_CONNECTION && connection->state == CT_STATE_ESTABLISHED &&
	       connection->expires_ns > now;
}

/* Begun as this packet comes, and nothing is to be told of it. */
static __always_inline bool ct_is_alike(const struct packet *packet, const struct connection *connection)
{
	return connection->flags == 0 && tuple_end_equal(&connection->dnat, &packet->frontend);
}

/* Who asked has the higher port, nearly always: his packets are looked for in his direction first. */
static __always_inline bool ct_is_probably_reply(const struct tuple *tuple)
{
	return bpf_ntohs(tuple->source_port) < bpf_ntohs(tuple->destination_port);
}

/* Most packets: 1 if it is of a TCP connection that is established, and what ct_track would do is done. */
__noinline int ct_track_established(struct __sk_buff *skb, struct packet *packet)
{
	struct connection *connection;
	__u32 direction, turn;
	struct tuple tuple;
	__u64 now;

	if (!packet || !ct_may_be_established(packet))
		return 0;
	/* A tick old (4 ms), at a quarter of the price: it is for a life of hours. */
	now = bpf_ktime_get_coarse_ns();
	direction = ct_is_probably_reply(&packet->tuple);
	for (turn = 0; turn < 2; turn++, direction ^= 1) {
		tuple = direction ? tuple_reverse(&packet->tuple) : packet->tuple;
		connection = bpf_map_lookup_elem(&conntrack, &tuple);
		if (!connection || !ct_is_established(connection, now) ||
		    (direction == 0 && !ct_is_alike(packet, connection)))
			continue;
		packet->ct_status = direction ? CT_STATUS_REPLY : CT_STATUS_ESTABLISHED;
		if (direction)
			ct_recall_client(packet, connection);
		if (!config_dry_run)
			ct_advance(connection, packet, skb->len, direction, now);
		return 1;
	}
	return 0;
}

static __always_inline bool ct_create_alias(const struct packet *packet)
{
	struct tuple tuple = ct_dnat_alias_tuple(&packet->tuple, &packet->frontend, packet->client_port);
	struct connection *alias = ct_draft(CT_KIND_DNAT_ALIAS);

	if (!alias)
		return false;
	alias->dnat = tuple_destination(&packet->tuple);
	if (packet->client_port != 0)
		alias->snat = tuple_source(&packet->tuple);
	alias->backend_id = packet->backend_id;
	alias->generation = packet->generation;
	/* A former connection's may stand in the other table, where it would be found first. */
	bpf_map_delete_elem(&conntrack, &tuple);
	return bpf_map_update_elem(&conntrack_new, &tuple, alias, BPF_ANY) == 0;
}

/*
 * A choice just made: of a new connection, or of one that another frontend led to before. Or a choice that another node
 * has made: when the frontend's address moves to this one, the client comes here and must not be led elsewhere.
 */
static __always_inline bool ct_needs_alias(const struct packet *packet)
{
	return packet->backend_id != 0 || (packet->client_port != 0 && packet->ct_status == CT_STATUS_NEW) ||
	       (packet->is_told && packet->ct_status == CT_STATUS_NEW && packet->tuple.protocol == IPPROTO_TCP);
}

static __always_inline bool ct_create(struct __sk_buff *skb, const struct packet *packet)
{
	struct connection *connection = ct_draft(CT_KIND_CONNECTION);

	if (!connection)
		return false;
	connection->source_identity = packet->source_identity;
	connection->destination_identity = packet->destination_identity;
	connection->dnat = packet->frontend;
	if (packet->is_one_way)
		connection->flags |= CT_FLAG_ONE_WAY;
	if (packet->is_told)
		connection->flags |= CT_FLAG_TOLD;
	connection->told = ct_told_now(connection->created_ns);
	connection->client_port = packet->client_port;
	connection->former_port = packet->former_port;
	ct_advance(connection, packet, skb->len, 0, connection->created_ns);
	/* A port that nobody had may be somebody's by now: a SYN that is sent again looks for another one. */
	if (bpf_map_update_elem(&conntrack_new, &packet->tuple, connection,
				packet->client_port != 0 ? BPF_NOEXIST : BPF_ANY) != 0)
		return false;
	trace_report(skb, packet, &packet->tuple, connection);
	return true;
}

/* Its way is decided: a new connection is remembered. May fail (LRU under pressure, EBUSY before 6.15). */
__noinline verdict_t ct_commit(struct __sk_buff *skb, struct packet *packet)
{
	bool is_translated;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	is_translated = !tuple_end_is_none(&packet->frontend);
	if (config_dry_run || packet->ct_status == CT_STATUS_RELATED || packet->ct_status == CT_STATUS_UNKNOWN)
		return VERDICT_CONTINUE;
	if (packet->ct_status == CT_STATUS_NEW && !packet->is_icmp_error && !ct_create(skb, packet)) {
		if (is_translated)
			return drop(packet, DROP_REASON_NOT_TRACKED);
		counter_add(packet, DROP_REASON_CT_CREATE_FAILED, skb->len);
		return VERDICT_CONTINUE;
	}
	if (ct_needs_alias(packet) && !ct_create_alias(packet))
		return drop(packet, DROP_REASON_NOT_TRACKED);
	return VERDICT_CONTINUE;
}
