/* Anti-spoofing: a pod sends from its own addresses and its own MAC, and nobody to or from loopback. */
#pragma once
#include "endpoint.h"
#include "packet.h"

static __always_inline verdict_t endpoint_check_source(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.source);

	if (!endpoint || (endpoint->flags & ENDPOINT_FLAG_HOST) || endpoint->ifindex != skb->ifindex)
		return drop(packet, DROP_REASON_INVALID_SOURCE_ADDRESS);
	packet->source_identity = endpoint->identity;
	packet->endpoint_id = endpoint->id;
	if (!mac_equal(&endpoint->mac, &packet->source_mac))
		return drop(packet, DROP_REASON_INVALID_SOURCE_MAC);
	return VERDICT_CONTINUE;
}

/*
 * No wire has loopback addresses (RFC 1122 3.2.1.3, RFC 4291 2.5.3). Where route_localnet is set, as kube-proxy leaves
 * it, the stack would take them, and a neighbour reach what listens at 127.0.0.1 only (CVE-2020-8558).
 */
static __always_inline verdict_t packet_refuse_loopback(struct packet *packet)
{
	if (address_is_loopback(&packet->tuple.source) || address_is_loopback(&packet->tuple.destination))
		return drop(packet, DROP_REASON_LOOPBACK_ADDRESS);
	return VERDICT_CONTINUE;
}
