/* What every entry program does before and after its steps. */
#pragma once
#include "drop.h"
#include "packet.h"
#include "reject.h"

/* The only place that turns a verdict into what the kernel does. */
static __always_inline int entry_settle(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (!verdict_is_drop(verdict)) {
		forward_report(skb, packet);
		return verdict;
	}
	drop_report(skb, packet, verdict);
	return reject_answer(skb, packet, verdict);
}

/* As entry_settle, where a sender cannot be answered by the device that its packet came in by. */
static __always_inline int entry_settle_silently(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (!verdict_is_drop(verdict)) {
		forward_report(skb, packet);
		return verdict;
	}
	drop_report(skb, packet, verdict);
	return TC_ACT_SHOT;
}
