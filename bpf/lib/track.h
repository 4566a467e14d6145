/* One step for both kinds of packets: of a connection, or an error about one. A reply of a service leaves as its
 * frontend's. */
#pragma once
#include "conntrack.h"
#include "nat.h"
#include "related.h"

static __always_inline verdict_t track_answer(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end source = packet->reply_source;

	return tuple_end_is_none(&source) ? VERDICT_CONTINUE : nat_rewrite(skb, packet, NAT_SOURCE, &source);
}

static __always_inline verdict_t track_other(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->is_icmp_error)
		return related_track(skb, packet);
	STEP(ct_track(skb, packet));
	return track_answer(skb, packet);
}

static __always_inline verdict_t track(struct __sk_buff *skb, struct packet *packet)
{
	return ct_track_established(skb, packet) ? track_answer(skb, packet) : track_other(skb, packet);
}
