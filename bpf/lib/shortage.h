/*
 * Shortage: towards one destination a source's ports are nearly all taken, so that a search at random was long, or has
 * found none. What came of that is remembered for a while: or each new connection, which may be anybody's flood, would
 * cost as much as that search.
 *
 * Further searches go on where the last one ended, in an order that meets each port once a round: the few that are left
 * are all found. When a whole round has found none, nobody looks for SNAT_EXHAUSTED_NS. A port that comes free is found
 * at the latest by the round that follows, and at once by who asks for that very port.
 */
#pragma once
#include "config.h"
#include "limits.h"
#include "map.h"
#include "tuple.h"

struct shortage {
	/* No search before; 0: since this shortage began no round has come to its end. */
	__u64 exhausted_until_ns;
	/* Ports looked at, with those that a search has set out to look at, and of these the ones before the present
	   round. They wrap. */
	__u32 looks;
	__u32 looks_before;
	/* Searches in a row that were short. */
	__u32 easy;
	__u32 reserved;
};

/* By the reply's tuple, without the port that is looked for. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, SHORTAGES_MAX);
	__type(key, struct tuple);
	__type(value, struct shortage);
} shortages SEC(".maps");

static __always_inline bool shortage_is_exhausted(const struct shortage *shortage)
{
	return shortage->exhausted_until_ns > bpf_ktime_get_ns();
}

/* The first of the looks that are this search's: two CPUs share a round. A dry run takes none. */
static __always_inline __u32 shortage_take_looks(struct shortage *shortage)
{
	if (config_dry_run)
		return shortage->looks;
	return __sync_fetch_and_add(&shortage->looks, SNAT_LOOKS_MAX);
}

static __always_inline void shortage_begin(const struct tuple *key)
{
	struct shortage shortage = {.looks = bpf_get_prandom_u32()};

	shortage.looks_before = shortage.looks;
	bpf_map_update_elem(&shortages, key, &shortage, BPF_NOEXIST);
}

/* A search has found nothing. */
__noinline int shortage_grow(const struct tuple *key)
{
	struct shortage *shortage;

	if (!key)
		return 0;
	shortage = bpf_map_lookup_elem(&shortages, key);
	if (!shortage) {
		shortage_begin(key);
	} else if ((__s32)(shortage->looks - shortage->looks_before) >= SNAT_NUMBERS) {
		shortage->looks_before = shortage->looks;
		shortage->exhausted_until_ns = bpf_ktime_get_ns() + SNAT_EXHAUSTED_NS;
	}
	return 0;
}

/* What the search did not need is for the next one. */
static __always_inline void shortage_ease(struct shortage *shortage, __u32 looks)
{
	__sync_fetch_and_add(&shortage->looks, looks - SNAT_LOOKS_MAX);
	shortage->looks_before = shortage->looks;
	shortage->easy = looks <= SNAT_LOOKS_EASY ? shortage->easy + 1 : 0;
}

/* A search has found the reply's port by so many looks. */
__noinline int shortage_learn(struct tuple *reply, __u32 looks)
{
	struct shortage *shortage;
	__be16 port;

	if (!reply)
		return 0;
	port = reply->destination_port;
	reply->destination_port = 0;
	shortage = bpf_map_lookup_elem(&shortages, reply);
	if (shortage) {
		shortage_ease(shortage, looks);
		if (shortage->easy >= SNAT_EASY_MAX)
			bpf_map_delete_elem(&shortages, reply);
	} else if (looks >= SNAT_LOOKS_HARD) {
		shortage_begin(reply);
	}
	reply->destination_port = port;
	return 0;
}
