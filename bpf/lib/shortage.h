/*
 * Shortage: towards one destination a source's ports are nearly all taken, so that a search at random has found none.
 * What came of that is remembered for a while: or each new connection, which may be anybody's flood, would cost as much
 * as that search.
 *
 * Further searches go on where the last one ended, port by port, so that the few that are left are found. When a whole
 * round has found none, nobody looks for SNAT_EXHAUSTED_NS. A port that comes free is found at the latest by the round
 * that follows, and at once by who asks for that very port.
 */
#pragma once
#include "limits.h"
#include "map.h"
#include "tuple.h"

struct shortage {
	/* No search before; 0: since this shortage began no round has come to its end. */
	__u64 exhausted_until_ns;
	/* Ports looked at, with those that a search has set out to look at. They wrap. */
	__u32 looks;
	/* Of these, those before the present round. */
	__u32 looks_before;
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

/* The first of the ports that are this search's to look at: two CPUs share a round. */
static __always_inline __u32 shortage_take_looks(struct shortage *shortage)
{
	return __sync_fetch_and_add(&shortage->looks, SNAT_ATTEMPTS_MAX);
}

/* A search has found nothing. */
__noinline int shortage_grow(const struct tuple *key)
{
	struct shortage *shortage, begun = {};

	if (!key)
		return 0;
	shortage = bpf_map_lookup_elem(&shortages, key);
	if (!shortage) {
		begun.looks = bpf_get_prandom_u32();
		begun.looks_before = begun.looks;
		bpf_map_update_elem(&shortages, key, &begun, BPF_NOEXIST);
	} else if (shortage->looks - shortage->looks_before >= SNAT_PORTS) {
		shortage->looks_before = shortage->looks;
		shortage->exhausted_until_ns = bpf_ktime_get_ns() + SNAT_EXHAUSTED_NS;
	}
	return 0;
}

/* A search has found this port. The row is kept as long as that is hard. */
__noinline int shortage_ease(struct tuple *reply)
{
	struct shortage *shortage;
	__u32 looks;
	__be16 port;

	if (!reply)
		return 0;
	port = reply->destination_port;
	reply->destination_port = 0;
	shortage = bpf_map_lookup_elem(&shortages, reply);
	if (shortage) {
		looks = (bpf_ntohs(port) - (shortage->looks - SNAT_ATTEMPTS_MAX)) % SNAT_PORTS;
		shortage->looks_before = shortage->looks;
		if (looks < SNAT_ATTEMPTS_EASY)
			bpf_map_delete_elem(&shortages, reply);
	}
	reply->destination_port = port;
	return 0;
}
