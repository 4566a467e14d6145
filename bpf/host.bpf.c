/*
 * Hook: TCX ingress of sluice_net, the far end of sluice_host, where everything that the host's stack routes to pods
 * and services comes by. Ingress, because bpf_redirect_peer works from there only.
 */
#include "lib/arp.h"
#include "lib/dnat.h"
#include "lib/entry.h"
#include "lib/hold.h"
#include "lib/ndp.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/track.h"

/* What the host says to the link's groups is meant for nobody behind it. */
static __always_inline verdict_t host_pass_multicast(const struct packet *packet)
{
	return address_is_multicast(&packet->tuple.destination) ? TC_ACT_OK : VERDICT_CONTINUE;
}

/* The node's own traffic, or what it forwards from outside. Other nodes know our node by its own identity. */
static __always_inline verdict_t host_identify_source(struct packet *packet)
{
	packet->source_identity = identity_of(&packet->tuple.source);
	return VERDICT_CONTINUE;
}

/* ClusterIPs serve the cluster: the node's own processes, not whom it forwards for. */
static __always_inline verdict_t host_translate(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->source_identity != IDENTITY_WORLD)
		return dnat_translate(skb, packet);
	if (service_owns_address(&packet->tuple.destination, false))
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t host_route_tunnel(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->source_identity == IDENTITY_HOST)
		packet->source_identity = config_node_identity;
	return route_tunnel(skb, packet, false);
}

/* An address of the node would go round in circles between its stack and us, unless a service led to it. */
static __always_inline verdict_t host_refuse_own(struct packet *packet)
{
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.destination);

	if (endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST) && packet->fragment == FRAGMENT_NONE)
		return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
	return VERDICT_CONTINUE;
}

/*
 * Only a backend outside of the cluster leads here, or fragments of a pod that had to wait: what the stack has routed
 * to us comes from its routes to pods.
 */
static __always_inline verdict_t host_route_world(struct __sk_buff *skb, struct packet *packet)
{
	if ((tuple_end_is_none(&packet->frontend) && packet->fragment == FRAGMENT_NONE) || packet->is_unroutable)
		return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
	STEP(route_fib(skb, packet));
	return drop(packet, DROP_REASON_NO_ROUTE);
}

static __always_inline verdict_t host_steps(struct __sk_buff *skb, struct packet *packet)
{
	STEP(packet_parse(skb, packet));
	STEP(arp_answer_host(skb, packet));
	STEP(ndp_answer_host(skb, packet));
	STEP(host_pass_multicast(packet));
	STEP(host_identify_source(packet));
	STEP(host_refuse_own(packet));
	STEP(hold_fragments(skb, packet));
	STEP(host_translate(skb, packet));
	STEP(track(skb, packet));
	STEP(route_local(skb, packet, false));
	STEP(host_route_tunnel(skb, packet));
	return host_route_world(skb, packet);
}

SEC("tc")
int host_from_host(struct __sk_buff *skb)
{
	struct packet *packet = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_HOST);

	return packet ? entry_settle_and_answer(skb, packet, host_steps(skb, packet)) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
