/*
 * Rest: a port from which a TCP connection ended is not given to another client for a while. The server may have the
 * former one in TIME_WAIT still (60 s on Linux) and compares the timestamps of its next with those (PAWS, RFC 7323
 * 5.2): another client has another clock. An older one's SYN is answered by an acknowledgement that means nothing to
 * the client; it resets that, and sends the SYN again a second later. The same client's clock goes on.
 *
 * A mark for each port, in an order that the two addresses decide, so that it costs the same whatever there is. Ports
 * of other destinations that share one keep each other at rest longer, which does no harm. When a node ends a thousand
 * connections a second, all ports rest; then whoever needs one gets it all the same.
 */
#pragma once
#include <linux/in.h>
#include "hash.h"
#include "packet.h"
#include "place.h"

/* A mark: when the connection ended, in units of 2^32 ns (4.3 s) that are counted from 1 to 255, or 0: none has; and a
 * hash of its client. The minute of TIME_WAIT is up to four seconds longer (HZ=1000): so coarse is the kernel's timer
 * then. */
#define REST_UNITS 16
#define REST_UNITS_MAX 255

struct rests {
	__u8 ended[RESTS_MAX];
	__u8 clients[RESTS_MAX];
};

/* [0]: by the reply's tuple, to the translated source. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct rests);
} rests SEC(".maps");

/* No two ports towards one destination share a mark. */
static __always_inline __u32 rest_index(const struct tuple *reply)
{
	__u32 first = hash_client(&reply->source, reply->source_port, reply->destination.words[3], 0);

	return (first + reply->destination_port) % RESTS_MAX;
}

static __always_inline __u8 rest_client(const struct tuple_end *client)
{
	const __u32 *words = client->address.words;

	return ((words[0] ^ words[1] ^ words[2] ^ words[3] ^ client->port) * 0x9e3779b1) >> 24;
}

static __always_inline __u8 rest_now(void)
{
	return (__u32)(bpf_ktime_get_coarse_ns() >> 32) % REST_UNITS_MAX + 1;
}

static __always_inline bool rest_is_young(__u8 ended)
{
	__u32 age = (rest_now() + REST_UNITS_MAX - ended) % REST_UNITS_MAX;

	return ended != 0 && age < REST_UNITS;
}

/* The connection's state is another one now. Who was reset waits for nothing more. */
__noinline int rest_begin(const struct tuple *tuple, const struct connection *connection)
{
	struct tuple_end client;
	struct tuple reply;
	__u32 index, zero = 0;
	struct rests *all;

	if (!tuple || !connection || connection->state != CT_STATE_CLOSED || tuple_end_is_none(&connection->snat) ||
	    !(connection->tcp_flags[0] & connection->tcp_flags[1] & TCP_FLAG_FIN))
		return 0;
	all = bpf_map_lookup_elem(&rests, &zero);
	if (!all)
		return 0;
	reply = ct_snat_alias_tuple(tuple, &connection->snat);
	client = tuple_source(tuple);
	index = rest_index(&reply);
	all->ended[index] = rest_now();
	all->clients[index] = rest_client(&client);
	return 0;
}

/* 1: somebody had the reply's port a short while ago, and it was not this client (NULL: whoever it was). */
__noinline int rest_is_on(const struct tuple *reply, const struct tuple_end *client)
{
	struct rests *all;
	__u32 index, zero = 0;

	if (!reply || reply->protocol != IPPROTO_TCP)
		return 0;
	all = bpf_map_lookup_elem(&rests, &zero);
	if (!all)
		return 0;
	index = rest_index(reply);
	return rest_is_young(all->ended[index]) && (!client || all->clients[index] != rest_client(client));
}
