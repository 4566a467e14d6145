/* Where a packet goes: a pod here, a node there, a service that nobody translated, or the world. */
#pragma once
#include "deliver.h"
#include "encap.h"
#include "service.h"

/* A pod of this node, or the node itself. */
static __always_inline verdict_t route_local(struct __sk_buff *skb, struct packet *packet, bool is_routed)
{
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.destination);

	if (!endpoint)
		return VERDICT_CONTINUE;
	if (endpoint->flags & ENDPOINT_FLAG_HOST)
		return deliver_host(skb, packet, endpoint->identity);
	if (is_routed)
		STEP(packet_decrement_hop_limit(skb, packet));
	return deliver_local(skb, packet, endpoint);
}

/* A pod of another node, or that node. */
static __always_inline verdict_t route_tunnel(struct __sk_buff *skb, struct packet *packet, bool is_routed)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.destination);

	if (!entry)
		return VERDICT_CONTINUE;
	packet->destination_identity = entry->identity;
	packet->is_unroutable = (entry->flags & IPCACHE_FLAG_UNROUTABLE) != 0;
	if (address_is_zero(&entry->tunnel_endpoint))
		return VERDICT_CONTINUE;
	if (is_routed)
		STEP(packet_decrement_hop_limit(skb, packet));
	return encap_redirect(skb, packet, entry);
}

/* A service's address here was not translated at the socket: it has no backends, or the sender has no such socket. */
static __always_inline verdict_t route_service(struct packet *packet)
{
	struct frontend_key key = {
	    .address = packet->tuple.destination,
	    .port = packet->tuple.destination_port,
	    .protocol = packet->tuple.protocol,
	};
	bool has_ports = key.protocol == IPPROTO_TCP || key.protocol == IPPROTO_UDP;
	struct frontend *frontend = has_ports && key.port != 0 ? frontend_lookup(&key) : NULL;

	if (frontend && frontend->backend_count > 0)
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	if (frontend)
		return drop(packet, DROP_REASON_NO_BACKEND);
	if (!service_owns_address(&packet->tuple.destination))
		return VERDICT_CONTINUE;
	/* A port that the service does not have is refused like one without backends, not sent into the world. */
	return drop(packet, has_ports ? DROP_REASON_NO_BACKEND : DROP_REASON_SERVICE_NOT_TRANSLATED);
}

static __always_inline verdict_t route_world(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->is_unroutable)
		return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
	return deliver_host(skb, packet, packet->destination_identity ? packet->destination_identity : IDENTITY_WORLD);
}
