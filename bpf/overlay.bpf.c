/* Hook: TCX ingress of sluice_vxlan, where everything that other nodes tunnel to us comes by. */
#include "lib/dsr.h"
#include "lib/encap.h"
#include "lib/entry.h"
#include "lib/follow.h"
#include "lib/hold.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/source.h"
#include "lib/track.h"

static __always_inline verdict_t overlay_refuse_arp(struct packet *packet)
{
	return packet_is_arp(packet) ? drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE) : VERDICT_CONTINUE;
}

/* Whose answer it is, or which way in it has come to: to pods, other nodes and the world. */
static __always_inline verdict_t overlay_route_on(struct __sk_buff *skb, struct packet *packet)
{
	STEP(route_local(skb, packet, true));
	STEP(route_tunnel(skb, packet, true));
	return route_world(skb, packet);
}

/* To the node: an answer to its gateway, which stands for a client outside; a pod that comes to a NodePort; its own. */
static __always_inline verdict_t overlay_to_node(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end before = tuple_destination(&packet->tuple), after;
	int followed = follow(skb, packet, false);

	if (followed < 0)
		return followed;
	if (followed == FOLLOW_NONE) {
		STEP(snat_reverse(skb, packet));
		after = tuple_destination(&packet->tuple);
		if (tuple_end_equal(&before, &after)) {
			packet->is_external = 1;
			packet->is_external = dnat_is_for_service(packet) || dnat_is_error_of_client(skb, packet);
			if (!packet->is_external)
				return VERDICT_CONTINUE;
			STEP(dnat_translate_external(skb, packet));
		}
		STEP(track(skb, packet));
	}
	return overlay_route_on(skb, packet);
}

/* What waits for this one takes another way, where its connection is found and not what was told. */
static __always_inline verdict_t overlay_remember_told(struct __sk_buff *skb, struct packet *packet)
{
	if (!packet->is_told || !packet->has_waiting)
		return VERDICT_CONTINUE;
	STEP(ct_track(skb, packet));
	return ct_commit(skb, packet);
}

/* What this node's packet for a client outside, whom the backend's node answers itself, has met there. */
static __always_inline verdict_t overlay_pass_error(struct __sk_buff *skb, struct packet *packet)
{
	return packet->is_icmp_error && packet->is_one_way ? route_world(skb, packet) : VERDICT_CONTINUE;
}

static __always_inline verdict_t overlay_steps(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint *endpoint;

	STEP(decap_identity(skb, packet));
	STEP(packet_parse(skb, packet));
	STEP(overlay_refuse_arp(packet));
	STEP(packet_refuse_loopback(packet));
	STEP(dsr_take(skb, packet));
	STEP(overlay_remember_told(skb, packet));
	STEP(hold_fragments(skb, packet));
	endpoint = endpoint_lookup(&packet->tuple.destination);
	if (endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST) && !packet->is_told)
		STEP(overlay_to_node(skb, packet));
	STEP(track(skb, packet));
	/* An error may be for somebody else by now. */
	if (packet->is_icmp_error)
		endpoint = endpoint_lookup(&packet->tuple.destination);
	STEP(route_to_endpoint(skb, packet, endpoint, true));
	STEP(overlay_pass_error(skb, packet));
	return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
}

SEC("tc")
int overlay_from_overlay(struct __sk_buff *skb)
{
	struct packet *packet = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_OVERLAY);

	return packet ? entry_settle_and_answer(skb, packet, overlay_steps(skb, packet)) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
