/* What every entry program does after its steps: the only place that turns a verdict into what the kernel does. */
#pragma once
#include "drop.h"
#include "explain.h"
#include "packet.h"
#include "reject.h"
#include "shot.h"

/* Counts and reports. A drop is silent for its sender. */
static __always_inline int entry_settle(struct __sk_buff *skb, const struct packet *packet, verdict_t verdict)
{
	if (verdict == VERDICT_TAKEN)
		return shot_note(skb, TC_ACT_SHOT);
	if (verdict_is_drop(verdict)) {
		drop_report(skb, packet, verdict);
		return shot_note(skb, TC_ACT_SHOT);
	}
	forward_report(skb, packet, verdict);
	return verdict;
}

/* The same, where there is a way back to the sender: it is told when it waits for that. */
static __always_inline int entry_settle_and_answer(struct __sk_buff *skb, struct packet *packet, verdict_t verdict)
{
	if (!verdict_is_drop(verdict) || !reject_has_answer(packet, verdict))
		return entry_settle(skb, packet, verdict);
	drop_report(skb, packet, verdict);
	/* The answer quotes the packet as its sender knows it. */
	if (nat_restore(skb, packet) != VERDICT_CONTINUE)
		return shot_note(skb, TC_ACT_SHOT);
	return shot_note(skb, reject_answer(skb, packet, verdict));
}
