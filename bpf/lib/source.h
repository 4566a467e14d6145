/* Anti-spoofing: a pod sends from its own addresses and its own MAC. */
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
