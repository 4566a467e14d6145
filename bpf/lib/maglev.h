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
#include "hash.h"
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
