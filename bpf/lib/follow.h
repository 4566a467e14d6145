/*
 * Following: packets in the midst of TCP connections that were translated. Two look-ups say all, an alias and its
 * connection. What else was asked when it was made (whether a service is there and whom it serves, whether the sender
 * is who he says) is not asked again, as with the kernel's own connection tracking: who deletes a service ends nobody's
 * connection.
 */
#pragma once
#include "conflict.h"
#include "conntrack.h"
#include "identity.h"
#include "nat.h"

enum follow {
	/* Not found so: all is to be asked. */
	FOLLOW_NONE = 0,
	/* From a client, its destination is the backend now. */
	FOLLOW_REQUEST = 1,
	/* To a translated source, its destination is the client now, and its source the frontend if there was one. */
	FOLLOW_ANSWER = 2,
};

struct followed {
	struct connection *alias;
	struct connection *connection;
	/* The destination that the alias leads to. */
	struct tuple_end to;
	/* Of the packet in its connection. */
	__u32 direction;
};

/* Under its present source or destination, and by nothing but this alias. */
static __always_inline bool follow_is_by(const struct packet *packet, const struct followed *followed)
{
	struct tuple_end end = tuple_destination(&packet->tuple);
	const struct connection *connection = followed->connection;

	return followed->direction ? tuple_end_equal(&connection->snat, &end)
				   : tuple_end_equal(&connection->dnat, &end) && !(connection->flags & CT_FLAG_TOLD);
}

/* False: there is no alias for it, or its connection is not established, or may be evicted. */
static __always_inline bool follow_find(const struct packet *packet, __u64 now, struct followed *followed)
{
	struct tuple tuple;

	followed->alias = bpf_map_lookup_elem(&conntrack, &packet->tuple);
	if (!followed->alias || followed->alias->kind == CT_KIND_CONNECTION)
		return false;
	followed->direction = followed->alias->kind == CT_KIND_SNAT_ALIAS;
	if (followed->direction) {
		followed->to = followed->alias->snat;
		tuple = tuple_reverse(&packet->tuple);
		tuple.source = followed->to.address;
		tuple.source_port = followed->to.port;
	} else {
		followed->to = followed->alias->dnat;
		tuple = packet->tuple;
		tuple.destination = followed->to.address;
		tuple.destination_port = followed->to.port;
		if (!tuple_end_is_none(&followed->alias->snat))
			tuple.source_port = followed->alias->snat.port;
	}
	followed->connection = bpf_map_lookup_elem(&conntrack, &tuple);
	return followed->connection && ct_is_established(followed->connection, now) && follow_is_by(packet, followed);
}

/* Who sends this was in the world when its connection was made: no pod's or node's address, which others may forge. */
static __always_inline bool follow_is_from_world(const struct followed *followed)
{
	const struct connection *connection = followed->connection;

	return (followed->direction ? connection->destination_identity : connection->source_identity) == IDENTITY_WORLD;
}

/*
 * What dnat_translate, snat_reverse and track would do. `is_from_wire`: nothing else says who the sender is. An enum
 * follow, or a drop.
 */
__noinline int follow(struct __sk_buff *skb, struct packet *packet, bool is_from_wire)
{
	/* A tick old (4 ms), at a quarter of the price: it is for a life of hours. */
	__u64 now = bpf_ktime_get_coarse_ns();
	struct tuple_end frontend, to;
	struct followed followed;
	verdict_t verdict;

	if (!packet || !ct_may_be_established(packet) || !follow_find(packet, now, &followed) ||
	    (is_from_wire && !follow_is_from_world(&followed)))
		return FOLLOW_NONE;
	to = followed.to;
	frontend = followed.connection->dnat;
	if (!config_dry_run)
		ct_advance(followed.connection, packet, skb->len, followed.direction, now);
	if (followed.direction) {
		packet->ct_status = CT_STATUS_REPLY;
		packet->reply_source = frontend;
		packet->reply_port = followed.connection->client_port;
	} else {
		packet->ct_status = CT_STATUS_ESTABLISHED;
		packet->frontend = frontend;
		packet->given_source = followed.connection->snat;
		packet->given_port = followed.alias->snat.port;
		packet->is_external = 1;
		ct_recall_way(packet, followed.connection, now);
	}
	verdict = nat_rewrite(skb, packet, NAT_DESTINATION, &to);
	if (verdict == VERDICT_CONTINUE)
		verdict = conflict_settle_followed(skb, packet);
	if (verdict == VERDICT_CONTINUE && followed.direction && !tuple_end_is_none(&frontend))
		verdict = nat_rewrite(skb, packet, NAT_SOURCE, &frontend);
	if (verdict != VERDICT_CONTINUE)
		return verdict;
	return followed.direction ? FOLLOW_ANSWER : FOLLOW_REQUEST;
}
