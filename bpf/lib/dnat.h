/*
 * DNAT: services per packet, for whatever passed no socket hook: raw packets, another network stack or namespace inside
 * a pod, the node's own. Backend, affinity and scope are chosen as at the socket (service_choose), and the connection
 * stays with what was chosen.
 */
#pragma once
#include "conflict.h"
#include "conntrack.h"
#include "echo.h"
#include "identity.h"
#include "nat.h"
#include "related.h"
#include "service.h"
#include "snat.h"

/* Does the service still have the backend that the alias leads to? */
static __always_inline bool dnat_choice_holds(const struct frontend *frontend, const struct service_request *request,
					      struct connection *alias)
{
	struct service_choice choice = {.backend_id = alias->backend_id, .generation = alias->generation};

	if (!service_choice_holds(frontend, request, &choice))
		return false;
	/* The number of a backend that is gone is given to the next one. */
	if (choice.backend->port != alias->dnat.port || !address_equal(&choice.backend->address, &alias->dnat.address))
		return false;
	if (!config_dry_run)
		alias->generation = choice.generation;
	return true;
}

/* By another frontend the client has begun a connection with the same port since the alias was made (conflict.h). */
static __always_inline bool dnat_is_by(const struct packet *packet, const struct connection *connection)
{
	struct tuple_end frontend = tuple_destination(&packet->tuple);

	return tuple_end_equal(&connection->dnat, &frontend);
}

/*
 * The backend that this client's connection to the frontend goes to, and the port that it was given there. TCP stays
 * with it as long as the connection lives, whatever becomes of the service; datagrams as long as the backend serves it
 * (as kube-proxy has it), and so a SYN: who begins anew where another connection was left without an end must not be
 * held to a backend that is gone.
 */
static __always_inline bool dnat_recall(struct packet *packet, const struct frontend *frontend,
					const struct service_request *request, struct tuple_end *to)
{
	struct connection *alias = ct_alias(&packet->tuple, CT_KIND_DNAT_ALIAS), *connection;
	struct tuple tuple = packet->tuple;

	if (!alias)
		return false;
	tuple.destination = alias->dnat.address;
	tuple.destination_port = alias->dnat.port;
	if (!tuple_end_is_none(&alias->snat))
		tuple.source_port = alias->snat.port;
	connection = ct_entry(&tuple);
	if (!connection || connection->kind != CT_KIND_CONNECTION || ct_is_over(packet, connection, bpf_ktime_get_ns()))
		return false;
	if (packet->tuple.protocol == IPPROTO_TCP && !dnat_is_by(packet, connection))
		return false;
	*to = alias->dnat;
	packet->given_port = alias->snat.port;
	if (packet->tuple.protocol == IPPROTO_TCP && !packet_is_syn(packet))
		return true;
	return frontend && dnat_choice_holds(frontend, request, alias);
}

static __always_inline bool dnat_choose(struct packet *packet, const struct frontend *frontend,
					const struct service_request *request, struct tuple_end *to)
{
	struct service_choice choice = {};

	if (!service_choose(frontend, request, &choice))
		return false;
	to->address = choice.backend->address;
	to->port = choice.backend->port;
	packet->given_port = 0;
	packet->backend_id = choice.backend_id;
	packet->generation = choice.generation;
	return true;
}

/* 1: an error about a reply of a service. */
__noinline int dnat_is_error_of_client(struct __sk_buff *skb, const struct packet *packet)
{
	struct quotation quotation;
	struct tuple tuple;

	if (!packet || !packet->is_icmp_error || !quotation_load(skb, packet, &quotation))
		return 0;
	tuple = tuple_reverse(&quotation.tuple);
	return ct_alias(&tuple, CT_KIND_DNAT_ALIAS) != NULL;
}

/* A client's error about a reply, which it had from the frontend: for the backend that sent it. */
__noinline verdict_t dnat_translate_error(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end backend, client, destination = {};
	struct quotation quotation;
	struct connection *alias;
	struct tuple tuple;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!quotation_load(skb, packet, &quotation))
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	tuple = tuple_reverse(&quotation.tuple);
	alias = ct_alias(&tuple, CT_KIND_DNAT_ALIAS);
	if (!alias)
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	backend = alias->dnat;
	client = alias->snat;
	if (!tuple_end_is_none(&client))
		STEP(quotation_rewrite(skb, packet, &quotation, NAT_DESTINATION, &client));
	STEP(quotation_rewrite(skb, packet, &quotation, NAT_SOURCE, &backend));
	destination.address = backend.address;
	return nat_rewrite(skb, packet, NAT_DESTINATION, &destination);
}

/* Of this node or another one. */
static __always_inline bool dnat_is_node(const struct address *address)
{
	struct endpoint *endpoint = endpoint_lookup(address);

	return endpoint ? endpoint->flags & ENDPOINT_FLAG_HOST : ipcache_is_node(address);
}

/*
 * Does the packet's destination, at which frontends stand, belong to somebody else as well, whose its other ports are?
 * To a node, to which some balancers give services; or, for clients inside, to whom a Service has named as an external
 * address. Fragments may belong to what was translated.
 */
static __always_inline bool dnat_is_shared(const struct packet *packet, const struct frontend *mark)
{
	if (!packet->is_external && (mark->flags & FRONTEND_FLAG_SHARED) && !packet->lacks_ports)
		return true;
	return dnat_is_node(&packet->tuple.destination);
}

enum dnat_whose {
	DNAT_NOBODYS,
	DNAT_SERVICES,
	/* No port of a service, at an address where a service has others. */
	DNAT_OTHERS,
};

/*
 * Gives an enum dnat_whose. An address that is services' alone is theirs with all its ports; at one that is shared
 * somebody must have asked for exactly this one.
 */
__noinline int dnat_whose(const struct packet *packet)
{
	struct frontend_key key = {};
	struct frontend *mark = NULL;
	bool is_found;

	if (!packet)
		return 0;
	key.address = packet->tuple.destination;
	if (packet_has_ports(packet) && !packet->lacks_ports)
		key.port = packet->tuple.destination_port;
	key.protocol = packet->tuple.protocol;
	if (!frontend_resolve(&key)) {
		mark = service_mark(&key.address, packet->is_external);
		if (!mark)
			return DNAT_NOBODYS;
		if (!dnat_is_shared(packet, mark))
			return DNAT_SERVICES;
	}
	is_found = packet->is_external ? frontend_resolve_external(&key) : frontend_lookup(&key) != NULL;
	if (is_found)
		return DNAT_SERVICES;
	return mark ? DNAT_OTHERS : DNAT_NOBODYS;
}

static __always_inline bool dnat_is_for_service(const struct packet *packet)
{
	return dnat_whose(packet) == DNAT_SERVICES;
}

static __always_inline struct service_request dnat_request(const struct packet *packet)
{
	struct service_request request = {};

	request.key.address = packet->tuple.destination;
	request.key.port = packet->tuple.destination_port;
	request.key.protocol = packet->tuple.protocol;
	request.client = packet->tuple.source;
	request.client_port = packet->tuple.source_port;
	request.is_external = packet->is_external;
	return request;
}

__noinline verdict_t dnat_to_backend(struct __sk_buff *skb, struct packet *packet)
{
	struct service_request request;
	struct tuple_end to = {};
	struct frontend *frontend;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	request = dnat_request(packet);
	frontend = request.key.port != 0 ? frontend_find_for(&request.key, packet->is_external) : NULL;
	if (!dnat_recall(packet, frontend, &request, &to)) {
		/* A port that the service does not have is refused like one without backends. */
		if (!frontend)
			return drop(packet, DROP_REASON_NO_BACKEND);
		/* Who was let in once stays. */
		if (!service_allows(frontend, &request.client, packet->source_identity == IDENTITY_HOST))
			return drop(packet, DROP_REASON_CLIENT_NOT_ALLOWED);
		if (!dnat_choose(packet, frontend, &request, &to))
			return frontend->flags & FRONTEND_FLAG_ELSEWHERE ? drop(packet, DROP_REASON_NO_LOCAL_BACKEND)
									 : drop(packet, DROP_REASON_NO_BACKEND);
	}
	packet->frontend = tuple_destination(&packet->tuple);
	packet->wants_dsr = frontend && (frontend->flags & FRONTEND_FLAG_DSR);
	STEP(nat_rewrite(skb, packet, NAT_DESTINATION, &to));
	return packet->given_port != 0 ? conflict_give_port(skb, packet) : VERDICT_CONTINUE;
}

/*
 * To a node, or to an address that it shares with a service: an answer to a client that came to itself by a NodePort, a
 * host port, a balancer's address of the node's or an external one.
 */
static __always_inline verdict_t dnat_reverse_hairpin(struct __sk_buff *skb, struct packet *packet, bool is_shared)
{
	if (packet_is_syn(packet) || !(is_shared || dnat_is_node(&packet->tuple.destination)))
		return VERDICT_CONTINUE;
	return snat_reverse(skb, packet);
}

static __always_inline verdict_t dnat_translate(struct __sk_buff *skb, struct packet *packet)
{
	struct address destination = packet->tuple.destination;
	int whose = dnat_whose(packet);

	if (whose != DNAT_SERVICES)
		return dnat_is_error_of_client(skb, packet) ? dnat_translate_error(skb, packet)
							    : dnat_reverse_hairpin(skb, packet, whose == DNAT_OTHERS);
	/* What a hairpinned client is answered. */
	STEP(snat_reverse(skb, packet));
	if (!address_equal(&destination, &packet->tuple.destination))
		return VERDICT_CONTINUE;
	if (packet->is_icmp_error)
		return dnat_translate_error(skb, packet);
	if (echo_is_question(packet))
		return echo_answer(skb, packet);
	if (!packet_has_ports(packet))
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	if (packet->lacks_ports)
		return drop(packet, DROP_REASON_FRAGMENT_UNSUPPORTED);
	return dnat_to_backend(skb, packet);
}

/* Of a client from outside, to an address that is services' alone, or to a NodePort. */
static __always_inline verdict_t dnat_translate_external(struct __sk_buff *skb, struct packet *packet)
{
	if (packet->is_icmp_error)
		return dnat_translate_error(skb, packet);
	if (echo_is_question(packet))
		return echo_answer(skb, packet);
	/* The node's stack would forward it as it is. */
	if (!packet_has_ports(packet))
		return drop(packet, DROP_REASON_SERVICE_NOT_TRANSLATED);
	if (packet->lacks_ports)
		return drop(packet, DROP_REASON_FRAGMENT_UNSUPPORTED);
	return dnat_to_backend(skb, packet);
}

/* A client that is its own service's backend would take its own packets for forged ones. */
static __always_inline verdict_t dnat_hairpin(struct __sk_buff *skb, struct packet *packet)
{
	struct address frontend = packet->frontend.address;

	return snat_translate(skb, packet, &frontend);
}
