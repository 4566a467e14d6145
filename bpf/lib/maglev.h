/*
 * Maglev tables: which slot of a service a connection gets, so that every node and every restart answers alike
 * (Eisenbud et al., NSDI 2016). A table names slots, which stand in the order of the backends' addresses, and no ids of
 * this node: it is the same, bit by bit, wherever the same backends serve.
 *
 * It lies in chunks under its service's generation, written before the frontend is flipped to it. A map in a map would
 * make each change wait for an RCU grace period.
 */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

struct maglev_key {
	__u32 service_id;
	__u32 generation;
	/* Entries chunk * MAGLEV_CHUNK_SLOTS and up. */
	__u32 chunk;
};

struct maglev_chunk {
	/* Of the slots, begun with the table's seed: the agent sees by it what was made otherwise, or damaged. */
	__u32 checksum;
	/* Behind the table's last entry: 0. */
	__u16 slots[MAGLEV_CHUNK_SLOTS];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, MAGLEV_CHUNKS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct maglev_key);
	__type(value, struct maglev_chunk);
} maglev SEC(".maps");

static __always_inline __u32 maglev_rotate(__u32 word, __u32 bits)
{
	return word << bits | word >> (32 - bits);
}

/*
 * Bob Jenkins' lookup3 of six words, as the kernel's jhash2 has it. Every bit counts, so that neighbours and a client's
 * ports one after the other are spread.
 */
static __always_inline __u32 maglev_hash(const struct address *client, __u32 ports, __u32 protocol, __u32 seed)
{
	__u32 a = 0xdeadbeef + (6 << 2) + seed, b = a, c = a;

	a += client->words[0];
	b += client->words[1];
	c += client->words[2];
	a -= c, a ^= maglev_rotate(c, 4), c += b;
	b -= a, b ^= maglev_rotate(a, 6), a += c;
	c -= b, c ^= maglev_rotate(b, 8), b += a;
	a -= c, a ^= maglev_rotate(c, 16), c += b;
	b -= a, b ^= maglev_rotate(a, 19), a += c;
	c -= b, c ^= maglev_rotate(b, 4), b += a;
	a += client->words[3];
	b += ports;
	c += protocol;
	c ^= b, c -= maglev_rotate(b, 14);
	a ^= c, a -= maglev_rotate(c, 11);
	b ^= a, b -= maglev_rotate(a, 25);
	c ^= b, c -= maglev_rotate(b, 16);
	a ^= c, a -= maglev_rotate(c, 4);
	b ^= a, b -= maglev_rotate(a, 14);
	c ^= b, c -= maglev_rotate(b, 24);
	return c;
}

/* The slot in one entry of the table that the key's service and generation have. Negative: there is no such chunk. */
static __always_inline int maglev_slot(struct maglev_key *key, __u32 entry)
{
	struct maglev_chunk *chunk;
	__u32 place = entry % MAGLEV_CHUNK_SLOTS;

	key->chunk = entry / MAGLEV_CHUNK_SLOTS;
	chunk = bpf_map_lookup_elem(&maglev, key);
	/* The verifier knows nothing of a remainder, and clang takes out a test of what it knows. */
	asm volatile("" : "+r"(place));
	if (!chunk || place >= MAGLEV_CHUNK_SLOTS)
		return -1;
	return chunk->slots[place];
}
