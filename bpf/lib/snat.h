/*
 * SNAT: a source that the other side could not answer becomes one that it can: the node's, for packets into the world
 * (masquerade); the frontend's, where a client would meet itself behind a service (hairpin).
 *
 * The address is shared, with other connections and with the node's own sockets. A port is free when no translated
 * connection of ours has it towards this destination (the alias is claimed with BPF_NOEXIST, or taken over by a
 * compare-and-swap, so two CPUs cannot both get it), no connection of the node is recorded there, and no socket of the
 * node would get the reply.
 */
#pragma once
#include "conntrack.h"
#include "endpoint.h"
#include "nat.h"
#include "related.h"
#include "rest.h"
#include "service.h"
#include "shortage.h"
#include "takeover.h"

/* An alias comes before its connection's first packet is through: until then it counts as alive all the same. */
#define SNAT_GRACE_NS SECOND_NS

static __always_inline struct tuple snat_connection_tuple(const struct tuple *reply, const struct tuple_end *client)
{
	struct tuple tuple = tuple_reverse(reply);

	tuple.source = client->address;
	tuple.source_port = client->port;
	return tuple;
}

/* Of a connection that is alive and has another source by now, or none yet, it is a former one's. */
static __always_inline bool snat_alias_is_alive(const struct tuple *reply, const struct connection *alias)
{
	struct tuple tuple = snat_connection_tuple(reply, &alias->snat);
	struct tuple_end source = tuple_destination(reply);
	__u64 now = bpf_ktime_get_ns();
	struct connection *connection;

	if (alias->created_ns + SNAT_GRACE_NS > now)
		return true;
	connection = ct_entry(&tuple);
	return connection && connection->kind == CT_KIND_CONNECTION && connection->expires_ns > now &&
	       tuple_end_equal(&connection->snat, &source);
}

static __always_inline bool snat_socket_exists(struct __sk_buff *skb, const struct tuple *reply)
{
	bool is_ipv4 = address_is_ipv4(&reply->source);
	__u32 size = is_ipv4 ? sizeof(((struct bpf_sock_tuple *)0)->ipv4) : sizeof(((struct bpf_sock_tuple *)0)->ipv6);
	struct bpf_sock_tuple tuple = {};
	struct bpf_sock *socket;

	if (is_ipv4) {
		tuple.ipv4.saddr = reply->source.words[3];
		tuple.ipv4.daddr = reply->destination.words[3];
		tuple.ipv4.sport = reply->source_port;
		tuple.ipv4.dport = reply->destination_port;
	} else {
		__builtin_memcpy(tuple.ipv6.saddr, reply->source.words, sizeof(tuple.ipv6.saddr));
		__builtin_memcpy(tuple.ipv6.daddr, reply->destination.words, sizeof(tuple.ipv6.daddr));
		tuple.ipv6.sport = reply->source_port;
		tuple.ipv6.dport = reply->destination_port;
	}
	if (reply->protocol == IPPROTO_TCP)
		socket = bpf_skc_lookup_tcp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else if (reply->protocol == IPPROTO_UDP)
		socket = bpf_sk_lookup_udp(skb, &tuple, size, BPF_F_CURRENT_NETNS, 0);
	else
		return false;
	if (!socket)
		return false;
	bpf_sk_release(socket);
	return true;
}

/* The translated source must be no frontend's: its packets would be taken for a client's. */
static __always_inline bool snat_frontend_exists(const struct tuple *reply)
{
	struct frontend_key key = {
	    .address = reply->destination,
	    .port = reply->destination_port,
	    .protocol = reply->protocol,
	};

	return frontend_find(&key) != NULL;
}

/* Of an alias whose connection is over. Two CPUs may both have seen that; one of them gets it. */
static __always_inline bool snat_take_over(struct connection *alias, __u64 created_ns, const struct tuple_end *client)
{
	if (__sync_val_compare_and_swap(&alias->created_ns, created_ns, bpf_ktime_get_ns()) != created_ns)
		return false;
	alias->snat = *client;
	return true;
}

/*
 * While tables are taken over, former programs and new ones give ports at the same time, and neither sees what the
 * others have given: two clients would be one to the server. The former ones take odd ports then, the new ones, whose
 * table has a mark that the agent has put there (a connection between nobodies), even ones. Its tuple is made in the
 * draft, which nobody has yet: on the stack is no room for it.
 */
__noinline int snat_leaves_port(const struct tuple *reply)
{
	struct connection *draft;
	bool is_odd;

	if (!reply || reply->destination_port == 0 || !takeover_find())
		return 0;
	is_odd = bpf_ntohs(reply->destination_port) & 1;
	draft = ct_draft(CT_KIND_CONNECTION);
	if (!draft)
		return 0;
	__builtin_memset(draft, 0, sizeof(struct tuple));
	return bpf_map_lookup_elem(&conntrack, draft) ? is_odd : !is_odd;
}

/* The node itself has a connection from there. */
static __always_inline bool snat_is_of_node(const struct tuple *reply)
{
	struct tuple own = tuple_reverse(reply);

	return ct_is_alive(&own);
}

/*
 * 1: the alias is ours now; in a dry run, it would be. One that this client had for a former connection is claimed like
 * that of any other which is over: the node may have taken the port since.
 */
__noinline int snat_claim(struct __sk_buff *skb, const struct tuple *reply, const struct tuple_end *client)
{
	struct connection *present, *alias;
	__u64 created_ns = 0;

	if (!reply || !client)
		return 0;
	present = ct_entry(reply);
	if (present) {
		created_ns = present->created_ns;
		if (present->kind != CT_KIND_SNAT_ALIAS)
			return 0;
		if (snat_alias_is_alive(reply, present))
			return tuple_end_equal(&present->snat, client);
	}
	if (snat_leaves_port(reply) || snat_is_of_node(reply) || snat_frontend_exists(reply) ||
	    snat_socket_exists(skb, reply))
		return 0;
	if (config_dry_run)
		return 1;
	if (present)
		return snat_take_over(present, created_ns, client);
	alias = ct_draft(CT_KIND_SNAT_ALIAS);
	if (!alias)
		return 0;
	alias->snat = *client;
	return bpf_map_update_elem(&conntrack_new, reply, alias, BPF_NOEXIST) == 0;
}

/* The port that the client has; at rest it may be after a connection of his own. */
static __always_inline int snat_claim_own(struct __sk_buff *skb, const struct tuple *reply,
					  const struct tuple_end *client)
{
	return rest_is_on(reply, client) ? 0 : snat_claim(skb, reply, client);
}

/* A number that may be another one outside: other kinds of ICMP than echo have none, other protocols none that we read.
 */
static __always_inline bool snat_has_port(const struct packet *packet)
{
	return packet_has_ports(packet) || packet_is_echo_request(packet);
}

static __always_inline bool snat_port_is_ours(__u16 port)
{
	return port >= SNAT_PORT_FIRST && (port < config_node_port_min || port > config_node_port_max);
}

enum snat_look {
	/* The port of this number, in an order that meets each once. */
	SNAT_LOOK_IN_TURN,
	/* Any, so that nobody can foretell it. */
	SNAT_LOOK_RANDOM,
	/* Any that is not at rest. */
	SNAT_LOOK_RESTED,
};

/* 1: the port is free, and stands in the reply's tuple. */
__noinline int snat_look(struct __sk_buff *skb, struct tuple *reply, const struct tuple_end *client, __u32 number,
			 enum snat_look look)
{
	__u16 port;

	if (!reply || !client)
		return 0;
	port = look == SNAT_LOOK_IN_TURN ? number * SNAT_STEP : bpf_get_prandom_u32();
	reply->destination_port = bpf_htons(port);
	if (!snat_port_is_ours(port))
		return 0;
	if (look == SNAT_LOOK_RESTED && rest_is_on(reply, NULL))
		return 0;
	return snat_claim(skb, reply, client);
}

static __always_inline enum snat_look snat_kind_of(int look, const struct shortage *shortage)
{
	if (shortage)
		return SNAT_LOOK_IN_TURN;
	return look < SNAT_LOOKS_RESTED ? SNAT_LOOK_RESTED : SNAT_LOOK_RANDOM;
}

/*
 * Leaves the port that was found in the reply's tuple, and says by how many looks. 0: none was. At random; in a
 * shortage in turn.
 */
static __always_inline int snat_search(struct __sk_buff *skb, struct tuple *reply, const struct tuple_end *client)
{
	struct shortage *shortage;
	__u32 first = 0;

	reply->destination_port = 0;
	shortage = bpf_map_lookup_elem(&shortages, reply);
	if (shortage) {
		if (shortage_is_exhausted(shortage))
			return 0;
		first = shortage_take_looks(shortage);
	}
	for (int look = 0; look < SNAT_LOOKS_MAX; look++) {
		if (snat_look(skb, reply, client, first + look, snat_kind_of(look, shortage)))
			return look + 1;
	}
	reply->destination_port = 0;
	if (!config_dry_run)
		shortage_grow(reply);
	return 0;
}

/*
 * The port of a former connection with the same tuple, and of no other: what the server still knows of it is of this
 * client, and his clock. So a SYN that is sent again, since the server took it for one of a former client, finds him
 * gone.
 */
static __always_inline int snat_claim_former(struct __sk_buff *skb, struct tuple *reply, const struct tuple_end *client,
					     __be16 port)
{
	__be16 own = reply->destination_port;

	if (port == 0)
		return 0;
	reply->destination_port = port;
	if (snat_claim(skb, reply, client))
		return 1;
	reply->destination_port = own;
	return 0;
}

/* The port that is asked for (`to`, 0: none is), or that the client has, if that is free, else one of the range. */
static __always_inline bool snat_allocate(struct __sk_buff *skb, const struct packet *packet, struct tuple_end *to)
{
	struct tuple_end client = tuple_source(&packet->tuple);
	struct tuple reply = tuple_reverse(&packet->tuple);
	__u32 looks;

	reply.destination = to->address;
	if (!snat_claim_former(skb, &reply, &client, to->port) && !snat_claim_own(skb, &reply, &client)) {
		looks = snat_has_port(packet) ? snat_search(skb, &reply, &client) : 0;
		if (looks == 0)
			return false;
		if (!config_dry_run)
			shortage_learn(&reply, looks);
	}
	to->port = reply.destination_port;
	return true;
}

/* An alias that the LRU gave up while nobody had answered yet. */
static __always_inline bool snat_keep(struct __sk_buff *skb, const struct packet *packet, const struct tuple_end *to)
{
	struct tuple reply = ct_snat_alias_tuple(&packet->tuple, to);
	struct tuple_end client = tuple_source(&packet->tuple);

	return snat_claim(skb, &reply, &client) != 0;
}

/* An address that the node has lost is no source any more: nobody would be answered there. */
static __always_inline bool snat_is_ours(const struct tuple_end *source, const struct address *address)
{
	return address_equal(&source->address, address) || endpoint_lookup(&source->address);
}

static __always_inline void snat_remember(struct ct_place *place, const struct tuple_end *source)
{
	place->connection->snat = *source;
	if (place->is_promoted)
		ct_promote_source(&place->tuple, place->connection);
}

/*
 * Writes the source that the packet's connection was given, or gives it one at this address. A dry run has begun no
 * connection, and gives what it would be given.
 */
__noinline verdict_t snat_translate(struct __sk_buff *skb, struct packet *packet, const struct address *address)
{
	struct tuple_end to = {};
	struct ct_place place;
	bool is_tracked;

	if (!packet || !address)
		return -DROP_REASON_INVALID_PACKET;
	to = packet->given_source;
	if (!tuple_end_is_none(&to) && snat_is_ours(&to, address))
		return nat_rewrite(skb, packet, NAT_SOURCE, &to);
	is_tracked = ct_find(&place, &packet->tuple);
	if (!is_tracked && !config_dry_run)
		return drop(packet, DROP_REASON_NOT_TRACKED);
	/* Replies of a connection that somebody began who reaches us untranslated. */
	if (is_tracked && place.direction != 0)
		return VERDICT_CONTINUE;
	if (is_tracked)
		to = place.connection->snat;
	if (!tuple_end_is_none(&to) && snat_is_ours(&to, address) && (place.is_promoted || snat_keep(skb, packet, &to)))
		return nat_rewrite(skb, packet, NAT_SOURCE, &to);
	to.address = *address;
	to.port = is_tracked ? place.connection->former_port : 0;
	if (!snat_allocate(skb, packet, &to))
		return snat_has_port(packet) ? drop(packet, DROP_REASON_NAT_EXHAUSTED)
					     : drop(packet, DROP_REASON_NAT_UNSUPPORTED);
	if (!config_dry_run)
		snat_remember(&place, &to);
	return nat_rewrite(skb, packet, NAT_SOURCE, &to);
}

/* Whose reply is it? False: nobody's of ours. */
static __always_inline bool snat_client(const struct tuple *reply, struct tuple_end *client)
{
	struct connection *alias = ct_alias(reply, CT_KIND_SNAT_ALIAS);

	if (!alias || !snat_alias_is_alive(reply, alias))
		return false;
	*client = alias->snat;
	return true;
}

/* An error about a packet that left with a translated source. */
static __always_inline verdict_t snat_reverse_error(struct __sk_buff *skb, struct packet *packet)
{
	struct quotation quotation;
	struct tuple_end client, destination = {};
	struct tuple reply;

	if (!quotation_load(skb, packet, &quotation))
		return VERDICT_CONTINUE;
	reply = tuple_reverse(&quotation.tuple);
	if (!snat_client(&reply, &client))
		return VERDICT_CONTINUE;
	STEP(quotation_rewrite(skb, packet, &quotation, NAT_SOURCE, &client));
	destination.address = client.address;
	return nat_rewrite(skb, packet, NAT_DESTINATION, &destination);
}

/* Replies to a translated source go to their client again; everything else stays as it is. */
__noinline verdict_t snat_reverse(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end client;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (packet->is_icmp_error)
		return snat_reverse_error(skb, packet);
	if (packet->lacks_ports || !snat_client(&packet->tuple, &client))
		return VERDICT_CONTINUE;
	return nat_rewrite(skb, packet, NAT_DESTINATION, &client);
}

/* An error that a client sends about a reply: the quotation shows the world what it sent, and to whom. */
__noinline verdict_t snat_translate_error(struct __sk_buff *skb, struct packet *packet, const struct address *address)
{
	struct tuple_end source = {};
	struct quotation quotation;
	struct ct_place place;

	if (!packet || !address)
		return -DROP_REASON_INVALID_PACKET;
	if (quotation_load(skb, packet, &quotation) && ct_find(&place, &quotation.tuple) && place.direction == 1 &&
	    !tuple_end_is_none(&place.connection->snat)) {
		source = place.connection->snat;
		STEP(quotation_rewrite(skb, packet, &quotation, NAT_DESTINATION, &source));
	} else {
		source.address = *address;
	}
	source.port = 0;
	return nat_rewrite(skb, packet, NAT_SOURCE, &source);
}
