/*
 * Conflict: by two frontends, or by one and by none, a client reaches one backend with the same port. Each is a
 * connection to him, and the backend would take both for one. The later one gets another port of the client's address,
 * as Linux gives it (nf_nat, get_unique_tuple): the address stays what it is, for whoever asks who the client is.
 *
 *   client:port  -> frontend    alias (DNAT), leads to the backend, and to the other port (snat)
 *   client:other -> backend     the connection, which knows the client's port
 *
 * Who comes without a frontend has an alias as well, under none, which is asked for where he would be taken for
 * another.
 *
 * Of TCP alone: datagrams of one socket may name several frontends (ct_belongs). Refused is what cannot be told apart,
 * or not be answered (nat_conflict):
 *
 * - Who was told by another node (dsr.h): most of its packets tell nothing, and look like those of the other one.
 * - By DSR to another node (encap_check_size): that answers the client itself, and would do so at the port that was
 *   given. The option has no room to tell of his own.
 * - A second one without a frontend, to another backend, from the port that has an alias under none.
 * - What begins nothing, of a connection that is not known any more.
 */
#pragma once
#include "conntrack.h"
#include "nat.h"
#include "snat.h"

/* At random. Where a tenth of the ports are taken, none of so many is free once in 10^16. */
#define CONFLICT_LOOKS_MAX 16

/* 1: nobody has the port, which stands in the tuple. An entry whose time is over is left to who collects them. */
__noinline int conflict_look(struct __sk_buff *skb, struct tuple *tuple)
{
	__u16 port = bpf_get_prandom_u32();
	struct tuple reply;

	if (!tuple || !snat_port_is_ours(port))
		return 0;
	tuple->source_port = bpf_htons(port);
	reply = tuple_reverse(tuple);
	return !ct_entry(tuple) && !ct_entry(&reply) && !snat_frontend_exists(&reply) &&
	       !snat_socket_exists(skb, &reply);
}

/* A reply comes to the port that was given. */
__noinline verdict_t conflict_restore_port(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end client;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	client = tuple_destination(&packet->tuple);
	client.port = packet->reply_port;
	return nat_rewrite(skb, packet, NAT_DESTINATION, &client);
}

/* A request of a connection that was given one. */
__noinline verdict_t conflict_give_port(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end source;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	packet->client_port = packet->tuple.source_port;
	source = tuple_source(&packet->tuple);
	source.port = packet->given_port;
	return nat_rewrite(skb, packet, NAT_SOURCE, &source);
}

/* Of a connection that was found by its alias, in whichever direction. */
static __always_inline verdict_t conflict_settle_followed(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->given_port != 0)
		return conflict_give_port(skb, packet);
	return packet->reply_port != 0 ? conflict_restore_port(skb, packet) : VERDICT_CONTINUE;
}

/* One of those that nobody has. */
static __always_inline verdict_t conflict_find_port(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple tuple = packet->tuple;

	for (int look = 0; look < CONFLICT_LOOKS_MAX; look++) {
		if (!conflict_look(skb, &tuple))
			continue;
		packet->given_port = tuple.source_port;
		return conflict_give_port(skb, packet);
	}
	return drop(packet, DROP_REASON_NAT_EXHAUSTED);
}

/*
 * Of a packet that ct_track has found in conflict. Who begins is given a port; whoever comes by a frontend after that
 * has it already (dnat_recall).
 */
__noinline verdict_t conflict_settle(struct __sk_buff *skb, struct packet *packet)
{
	int port;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	port = tuple_end_is_none(&packet->frontend) ? ct_given_port(packet) : 0;
	if (port > 0) {
		packet->given_port = port;
		return conflict_give_port(skb, packet);
	}
	if (port == CT_PORT_ELSEWHERE || packet->is_told || !packet_is_syn(packet))
		return drop(packet, DROP_REASON_NAT_CONFLICT);
	return conflict_find_port(skb, packet);
}
