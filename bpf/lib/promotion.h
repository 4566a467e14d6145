/*
 * Which of the two tables has a connection and its aliases. What is established is promoted, to where no flood evicts
 * it; what has ended makes room there when it must.
 */
#pragma once
#include <linux/errno.h>
#include "drop.h"
#include "packet.h"
#include "place.h"

/*
 * What is there already goes before: another CPU has been faster, and `entry` may be another connection's by now, for
 * the LRU gives its rows away at once; or an upgrade has left one in either table, and who looks finds this one.
 */
static __always_inline bool ct_move(const struct tuple *tuple, struct connection *entry)
{
	long error = bpf_map_update_elem(&conntrack, tuple, entry, BPF_NOEXIST);

	if (error != 0 && error != -EEXIST)
		return false;
	bpf_map_delete_elem(&conntrack_new, tuple);
	return true;
}

/* False: no room. An alias that is not there any more is no failure. */
static __always_inline bool ct_promote_alias(const struct tuple *tuple)
{
	struct connection *alias = bpf_map_lookup_elem(&conntrack_new, tuple);

	return !alias || ct_move(tuple, alias);
}

/* Of a promoted connection that was given another source. */
__noinline int ct_promote_source(const struct tuple *tuple, const struct connection *connection)
{
	struct tuple alias;

	if (!tuple || !connection)
		return 0;
	alias = ct_snat_alias_tuple(tuple, &connection->snat);
	return ct_promote_alias(&alias);
}

static __always_inline bool ct_promote_aliases(const struct tuple *tuple, const struct connection *connection)
{
	struct tuple alias;

	if (ct_has_dnat_alias(&connection->dnat, connection->client_port)) {
		alias = ct_dnat_alias_tuple(tuple, &connection->dnat, connection->client_port);
		if (!ct_promote_alias(&alias))
			return false;
	}
	if (!tuple_end_is_none(&connection->snat)) {
		alias = ct_snat_alias_tuple(tuple, &connection->snat);
		if (!ct_promote_alias(&alias))
			return false;
	}
	return true;
}

/* The LRU gave it up while the others were kept: snat_keep claims it again, for who is not promoted. */
static __always_inline bool ct_lacks_snat_alias(const struct tuple *tuple, const struct connection *connection)
{
	struct tuple alias;

	if (tuple_end_is_none(&connection->snat))
		return false;
	alias = ct_snat_alias_tuple(tuple, &connection->snat);
	return !ct_entry(&alias);
}

struct bpf_map;

/* Sums a number of each CPU, without a walk over the rows (6.6). */
extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym;

static __always_inline bool ct_holds_more_than(__u32 entries)
{
	return bpf_map_sum_elem_count((const struct bpf_map *)&conntrack) > entries;
}

static __always_inline bool ct_is_crowded(void)
{
	return ct_holds_more_than(CONNTRACK_ENDED_MAX);
}

/* Of a connection by DSR the asked node sees one side: whoever makes up addresses could fill the table with such. */
static __always_inline bool ct_is_one_too_many(const struct connection *connection)
{
	return (connection->flags & CT_FLAG_ONE_WAY) && ct_holds_more_than(CONNTRACK_ONE_WAY_MAX);
}

/*
 * Where no flood can evict it, aliases first: they are of no use without it, nor it without them. When that table is
 * full the connection stays where it was, tracked but evictable, and each of its packets tries again: the count is of
 * packets.
 */
__noinline int ct_promote(struct __sk_buff *skb, const struct packet *packet, const struct tuple *tuple)
{
	struct connection *connection;

	if (!packet || !tuple)
		return 0;
	connection = bpf_map_lookup_elem(&conntrack_new, tuple);
	if (!connection || ct_lacks_snat_alias(tuple, connection))
		return 0;
	if (ct_is_one_too_many(connection) || !ct_promote_aliases(tuple, connection) || !ct_move(tuple, connection))
		counter_add(packet, DROP_REASON_CT_CREATE_FAILED, skb->len);
	return 0;
}

/* False: there was none, or no room. One that another CPU has begun meanwhile is the younger one. */
static __always_inline bool ct_move_back(const struct tuple *tuple)
{
	struct connection *entry = bpf_map_lookup_elem(&conntrack, tuple);
	long result;

	if (!entry)
		return false;
	result = bpf_map_update_elem(&conntrack_new, tuple, entry, BPF_NOEXIST);
	if (result != 0 && result != -EEXIST)
		return false;
	bpf_map_delete_elem(&conntrack, tuple);
	return true;
}

/* The client may have begun another connection with the same port at the same frontend: the alias is that one's then.
 */
static __always_inline bool ct_alias_leads_to(const struct tuple *alias, const struct tuple_end *backend)
{
	struct connection *entry = bpf_map_lookup_elem(&conntrack, alias);

	return entry && tuple_end_equal(&entry->dnat, backend);
}

static __always_inline bool ct_alias_comes_from(const struct tuple *alias, const struct tuple_end *client)
{
	struct connection *entry = bpf_map_lookup_elem(&conntrack, alias);

	return entry && tuple_end_equal(&entry->snat, client);
}

/*
 * What has ended is still asked for, for some seconds: a FIN whose acknowledgement was lost is sent again, and data
 * before it. It stays where no flood evicts it as long as there is plenty of room. Else it must make room, since an
 * agent that is absent collects nothing: the table that gives up its oldest has it then, beside the handshakes.
 *
 * Of these one that is not answered yet outlives some 2,700 connections of three entries that end after it (0.9 s at
 * 3,000 a second), one whose answer came by some 8,000 (2.7 s). An answer that is lost is sent again after one second,
 * and so is a SYN without one, which begins anew. short-connections.kernel.test.ts says so.
 *
 * The connection first: an alias alone counts as absent.
 */
__noinline int ct_demote(const struct tuple *tuple)
{
	struct connection *connection;
	struct tuple_end dnat, snat, end;
	struct tuple alias;
	__be16 client_port;

	if (!tuple)
		return 0;
	connection = bpf_map_lookup_elem(&conntrack, tuple);
	if (!connection)
		return 0;
	client_port = connection->client_port;
	dnat = connection->dnat;
	snat = connection->snat;
	if (!ct_move_back(tuple))
		return 0;
	if (ct_has_dnat_alias(&dnat, client_port)) {
		alias = ct_dnat_alias_tuple(tuple, &dnat, client_port);
		end = tuple_destination(tuple);
		if (ct_alias_leads_to(&alias, &end))
			ct_move_back(&alias);
	}
	if (!tuple_end_is_none(&snat)) {
		alias = ct_snat_alias_tuple(tuple, &snat);
		end = tuple_source(tuple);
		if (ct_alias_comes_from(&alias, &end))
			ct_move_back(&alias);
	}
	return 0;
}
