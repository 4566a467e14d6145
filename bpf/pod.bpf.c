/* Hook: TCX ingress of a pod's host-side veth, where everything that the pod sends comes by. */
#include "lib/arp.h"
#include "lib/dnat.h"
#include "lib/entry.h"
#include "lib/hold.h"
#include "lib/ndp.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/source.h"
#include "lib/track.h"

/* Groups belong to the link: the host's stack takes or ignores them, as it would without us. */
static __always_inline verdict_t pod_pass_multicast(const struct packet *packet)
{
	return address_is_multicast(&packet->tuple.destination) ? TC_ACT_OK : VERDICT_CONTINUE;
}

/* A connection that was established without a service stays without: none is asked then. */
static __always_inline verdict_t pod_track(struct __sk_buff *skb, struct packet *packet)
{
	if (ct_track_established(skb, packet))
		return track_answer(skb, packet);
	STEP(dnat_translate(skb, packet));
	return tuple_end_is_none(&packet->frontend) ? track_other(skb, packet) : track(skb, packet);
}

static __always_inline verdict_t pod_steps(struct __sk_buff *skb, struct packet *packet)
{
	STEP(packet_parse(skb, packet));
	STEP(arp_answer_pod(skb, packet));
	STEP(ndp_answer_pod(skb, packet));
	STEP(endpoint_check_source(skb, packet));
	STEP(packet_refuse_loopback(packet));
	STEP(pod_pass_multicast(packet));
	STEP(hold_fragments(skb, packet));
	STEP(pod_track(skb, packet));
	STEP(route_local(skb, packet, true));
	STEP(route_tunnel(skb, packet, true));
	return route_world(skb, packet);
}

SEC("tc")
int pod_from_pod(struct __sk_buff *skb)
{
	struct packet *packet = packet_begin(DIRECTION_EGRESS, TRACE_POINT_FROM_POD);

	return packet ? entry_settle_and_answer(skb, packet, pod_steps(skb, packet)) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
