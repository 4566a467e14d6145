/*
 * Giving way: the node's own connections keep their ports, unless somebody who shares the node's address has one
 * towards the same destination: a pod at a device of the node, at the gateway's address a client from outside whose
 * backend is on another node. The later one gets another port; snat_claim sees to it that others give way to the
 * node's.
 */
#pragma once
#include "conntrack.h"
#include "snat.h"

/* A connection of the node's that gave way keeps the port that it was given, whatever becomes of the other one. */
static __always_inline bool give_way_was_given(const struct packet *packet)
{
	struct connection *connection = ct_entry(&packet->tuple);

	return connection && connection->kind == CT_KIND_CONNECTION && !tuple_end_is_none(&connection->snat);
}

__noinline int give_way_is_due(const struct packet *packet)
{
	struct tuple_end client;
	struct tuple reply;

	if (!packet)
		return 0;
	reply = tuple_reverse(&packet->tuple);
	return snat_client(&reply, &client);
}
