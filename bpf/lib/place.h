/* Where connections and their aliases stand: under which tuple, in which of the two tables. */
#pragma once
#include "connection.h"

/* `client_port`: see connection.h. */
static __always_inline struct tuple ct_dnat_alias_tuple(const struct tuple *tuple, const struct tuple_end *frontend,
							__be16 client_port)
{
	struct tuple alias = *tuple;

	alias.destination = frontend->address;
	alias.destination_port = frontend->port;
	if (client_port != 0)
		alias.source_port = client_port;
	return alias;
}

/* Whether it is there, or would be: of a connection without a frontend it stands under none. */
static __always_inline bool ct_has_dnat_alias(const struct tuple_end *frontend, __be16 client_port)
{
	return !tuple_end_is_none(frontend) || client_port != 0;
}

static __always_inline struct tuple ct_snat_alias_tuple(const struct tuple *tuple, const struct tuple_end *source)
{
	struct tuple alias = tuple_reverse(tuple);

	alias.destination = source->address;
	alias.destination_port = source->port;
	return alias;
}

/*
 * Whoever promotes an entry writes it where it is to be before he deletes it where it was. In neither of both it is
 * either not there, or was promoted between the two looks: then the third one finds it. Without that one packet of a
 * connection that has just begun, on another CPU than its last, would go to another backend, and be reset.
 */
static __always_inline struct connection *ct_entry(const struct tuple *tuple)
{
	struct connection *entry = bpf_map_lookup_elem(&conntrack, tuple);

	if (!entry)
		entry = bpf_map_lookup_elem(&conntrack_new, tuple);
	return entry ? entry : bpf_map_lookup_elem(&conntrack, tuple);
}

/* The entry under exactly this tuple, if it is an alias of that kind. Whether its connection lives is for the caller.
 */
static __always_inline struct connection *ct_alias(const struct tuple *tuple, enum ct_kind kind)
{
	struct connection *entry = ct_entry(tuple);

	return entry && entry->kind == kind ? entry : NULL;
}

/* Where a connection was found, and in which direction the packet goes. */
struct ct_place {
	struct connection *connection;
	/* The connection's tuple: the packet's, or its reverse. */
	struct tuple tuple;
	/* Index into packets, bytes and tcp_flags. */
	__u32 direction;
	bool is_promoted;
	__u8 reserved[3];
};

static __always_inline bool ct_found(struct ct_place *place, struct connection *entry)
{
	place->connection = entry && entry->kind == CT_KIND_CONNECTION ? entry : NULL;
	return place->connection != NULL;
}

static __always_inline bool ct_find_promoted(struct ct_place *place, const struct tuple *tuple)
{
	place->is_promoted = true;
	place->tuple = *tuple;
	place->direction = 0;
	if (ct_found(place, bpf_map_lookup_elem(&conntrack, &place->tuple)))
		return true;
	place->tuple = tuple_reverse(tuple);
	place->direction = 1;
	return ct_found(place, bpf_map_lookup_elem(&conntrack, &place->tuple));
}

static __always_inline bool ct_find_new(struct ct_place *place, const struct tuple *tuple)
{
	place->is_promoted = false;
	place->tuple = tuple_reverse(tuple);
	place->direction = 1;
	if (ct_found(place, bpf_map_lookup_elem(&conntrack_new, &place->tuple)))
		return true;
	place->tuple = *tuple;
	place->direction = 0;
	return ct_found(place, bpf_map_lookup_elem(&conntrack_new, &place->tuple));
}

/* As ct_entry looks, in both directions. */
static __always_inline bool ct_find(struct ct_place *place, const struct tuple *tuple)
{
	return ct_find_promoted(place, tuple) || ct_find_new(place, tuple) || ct_find_promoted(place, tuple);
}
