/*
 * Services: frontend -> slot -> backend.
 *
 * A change of a service is a new generation: its slots are written first, then the frontend is flipped in one write,
 * then the old generation's slots are deleted after a grace. No packet sees a mixture.
 */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

struct frontend_key {
	struct address address;
	__be16 port;
	/* IPPROTO_*; 0 asks whether the address has any frontend at all (port 0). */
	__u8 protocol;
	/* 0: for every client. Local scopes come with the traffic policies. */
	__u8 scope;
};

enum frontend_flag {
	FRONTEND_FLAG_AFFINITY = 1,
};

struct frontend {
	/* Set of slots; frontends with the same backends share it. */
	__u32 service_id;
	__u32 generation;
	/* Slots 0 .. backend_count - 1 exist in this generation. */
	__u32 backend_count;
	/* Key of `reverse_nat`: unique for each frontend, never 0. */
	__u32 rev_nat_index;
	__u32 affinity_seconds;
	__u32 flags;
	__u32 reserved[2];
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FRONTENDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct frontend_key);
	__type(value, struct frontend);
} frontends SEC(".maps");

struct slot_key {
	__u32 service_id;
	__u32 generation;
	__u32 slot;
};

struct slot {
	__u32 backend_id;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, SLOTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct slot_key);
	__type(value, struct slot);
} slots SEC(".maps");

enum backend_state {
	BACKEND_STATE_ACTIVE = 0,
	BACKEND_STATE_TERMINATING = 1,
	BACKEND_STATE_QUARANTINED = 2,
	BACKEND_STATE_MAINTENANCE = 3,
};

struct backend {
	struct address address;
	__be16 port;
	__u8 protocol;
	/* enum backend_state */
	__u8 state;
	__u32 reserved[3];
};

/* Backend id, never 0 -> where it listens. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, BACKENDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct backend);
} backends SEC(".maps");

struct reverse_nat {
	struct address address;
	__be16 port;
	__u8 protocol;
	__u8 reserved;
};

/* rev_nat_index -> the frontend's address, for undoing DNAT on replies. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, FRONTENDS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct reverse_nat);
} reverse_nats SEC(".maps");

struct affinity_key {
	/* The client's address; for a process of the node, the node's. */
	struct address client;
	__u32 service_id;
};

struct affinity {
	/* CLOCK_BOOTTIME */
	__u64 last_used_ns;
	__u32 backend_id;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AFFINITIES_MAX);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
} affinities SEC(".maps");
