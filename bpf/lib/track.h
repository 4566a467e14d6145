/*
 * One step for both kinds of packets: of a connection, or an error about one. A reply of a service leaves as its
 * frontend's, to the port that the client has.
 */
#pragma once
#include "conflict.h"
#include "conntrack.h"
#include "nat.h"
#include "related.h"

static __always_inline verdict_t track_answer(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end source = packet->reply_source;

	if (packet->reply_port != 0)
		STEP(conflict_restore_port(skb, packet));
	return tuple_end_is_none(&source) ? VERDICT_CONTINUE : nat_rewrite(skb, packet, NAT_SOURCE, &source);
}

static __always_inline verdict_t track_other(struct __sk_buff *skb, struct packet *packet)
{
	verdict_t verdict;

	if (packet->is_icmp_error)
		return related_track(skb, packet);
	verdict = ct_track(skb, packet);
	if (verdict == -DROP_REASON_NAT_CONFLICT) {
		STEP(conflict_settle(skb, packet));
		verdict = ct_track(skb, packet);
	}
	STEP(verdict);
	return track_answer(skb, packet);
}

static __always_inline verdict_t track(struct __sk_buff *skb, struct packet *packet)
{
	return ct_track_established(skb, packet) ? track_answer(skb, packet) : track_other(skb, packet);
}
