/* Hook: TCX ingress of sluice_vxlan, where everything that other nodes tunnel to us comes by. */
#include "lib/encap.h"
#include "lib/entry.h"
#include "lib/hold.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/track.h"

static __always_inline verdict_t overlay_refuse_arp(struct packet *packet)
{
	return packet_is_arp(packet) ? drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE) : VERDICT_CONTINUE;
}

static __always_inline verdict_t overlay_steps(struct __sk_buff *skb, struct packet *packet)
{
	STEP(decap_identity(skb, packet));
	STEP(packet_parse(skb, packet));
	STEP(overlay_refuse_arp(packet));
	STEP(hold_fragments(skb, packet));
	STEP(track(skb, packet));
	STEP(route_local(skb, packet, true));
	return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
}

SEC("tc")
int overlay_from_overlay(struct __sk_buff *skb)
{
	struct packet *packet = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_OVERLAY);

	return packet ? entry_settle_and_answer(skb, packet, overlay_steps(skb, packet)) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
