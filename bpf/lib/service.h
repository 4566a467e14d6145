/*
 * Services: frontend -> slot -> backend.
 *
 * A change of a service is a new generation: its slots are written first, then the frontend is flipped in one write,
 * then the old generation's slots are deleted after a grace. No packet sees a mixture.
 */
#pragma once
#include "address.h"
#include "config.h"
#include "endpoint.h"
#include "limits.h"
#include "maglev.h"
#include "map.h"
#include "takeover.h"

/* Whom a row is for. Clients from outside have one of their own where the service's policy for them is Local. */
enum frontend_scope {
	/* Pods of this node and its processes; with FRONTEND_FLAG_EXTERNAL everybody who has no row of his own. */
	FRONTEND_SCOPE_INTERNAL = 0,
	/* Who comes by the network, or from another node's pod. */
	FRONTEND_SCOPE_EXTERNAL = 1,
};

struct frontend_key {
	/* Of a NodePort, which stands for all addresses of the node that have NodePorts: 0.0.0.0 (mapped) or ::. */
	struct address address;
	__be16 port;
	/* IPPROTO_*; 0 asks whether the address has any frontend at all (port 0). */
	__u8 protocol;
	/* enum frontend_scope */
	__u8 scope;
};

enum frontend_flag {
	FRONTEND_FLAG_AFFINITY = 1,
	/* Serves clients from outside as well: a NodePort, an address of a load balancer, an external address. */
	FRONTEND_FLAG_EXTERNAL = 2,
	/* Has backends on other nodes only, and its policy is Local: clients are not told that nobody is there. */
	FRONTEND_FLAG_ELSEWHERE = 4,
	/* At a loopback address: the node's own processes mean it, and nobody else. */
	FRONTEND_FLAG_LOOPBACK = 8,
	/* Only the clients of `source_ranges` are served, wherever they are. */
	FRONTEND_FLAG_SOURCE_RANGES = 16,
	/* Among those ranges is an address of this node, by which all of its own processes are judged. */
	FRONTEND_FLAG_NODE_ALLOWED = 64,
	/* A backend of another node answers clients outside itself (dsr.h). */
	FRONTEND_FLAG_DSR = 128,
	/* At an address that somebody else may have as well (spec.externalIPs, which anybody may write). Of the mark of
	 * an address: all of its frontends are such. */
	FRONTEND_FLAG_SHARED = 256,
};

struct frontend {
	/* Set of slots; frontends with the same backends share it. */
	__u32 service_id;
	__u32 generation;
	/* Slots 0 .. backend_count - 1 exist in this generation. */
	__u32 backend_count;
	__u32 affinity_seconds;
	__u32 flags;
	/* All frontends of a service's port and family have the same: a client keeps its backend at each. 0:
	 * service_id. */
	__u32 affinity_id;
	/* Entries of this generation's Maglev table; 0: there is none, slots are chosen at random. */
	__u32 maglev_size;
	__u32 reserved;
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

struct source_range_key {
	/* 64 for the two numbers, and the prefix among the 128 bits: an IPv4 one of n bits counts 96 + n. */
	__u32 prefix_length;
	__u32 service_id;
	/* They change with the slots: no packet sees a mixture. */
	__u32 generation;
	struct address address;
};

/* Who may use a frontend with FRONTEND_FLAG_SOURCE_RANGES: whoever is found, with any value. */
struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, SOURCE_RANGES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct source_range_key);
	__type(value, __u32);
} source_ranges SEC(".maps");

struct affinity_key {
	/* The client's address; for a process of the node, the node's. */
	struct address client;
	/* affinity_id of the frontend. */
	__u32 service_id;
};

struct affinity {
	__u64 last_used_ns;
	__u32 backend_id;
	/* In which the backend was a member. No two frontends have a generation of the same number. */
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, AFFINITIES_MAX);
	__type(key, struct affinity_key);
	__type(value, struct affinity);
} affinities SEC(".maps");

/* What a client asks for, and who it is. */
struct service_request {
	struct frontend_key key;
	/* For affinity, and for Maglev tables. */
	struct address client;
	__be16 client_port;
	/* Comes by the network, or from another node's pod: Maglev is for them alone. */
	__u8 is_external;
	__u8 reserved;
};

struct service_choice {
	struct backend *backend;
	__u32 backend_id;
	__u32 generation;
};

static __always_inline struct frontend *frontend_lookup(const struct frontend_key *key)
{
	return bpf_map_lookup_elem(&frontends, key);
}

static __always_inline struct address address_unspecified(const struct address *address)
{
	return address_is_ipv4(address) ? address_from_ipv4(0) : (struct address){};
}

/*
 * Makes the key of an address of the node and a port of the services' range that of the NodePort's row. To connect to
 * "any address" means the node itself, and no NodePort of it: port 0 has no frontend. 1: the key is a NodePort's now.
 */
__noinline int frontend_resolve(struct frontend_key *key)
{
	struct address unspecified;
	struct endpoint *endpoint;
	__u16 port;

	if (!key)
		return 0;
	unspecified = address_unspecified(&key->address);
	if (address_equal(&key->address, &unspecified))
		key->port = 0;
	port = bpf_ntohs(key->port);
	if (port < config_node_port_min || port > config_node_port_max)
		return 0;
	endpoint = endpoint_lookup(&key->address);
	if (!endpoint || (endpoint->flags & (ENDPOINT_FLAG_HOST | ENDPOINT_FLAG_NO_NODE_PORTS)) != ENDPOINT_FLAG_HOST)
		return 0;
	key->address = unspecified;
	return 1;
}

/* For clients inside: the frontend that address and port name. The key becomes that of its row. */
static __always_inline struct frontend *frontend_find(struct frontend_key *key)
{
	frontend_resolve(key);
	return frontend_lookup(key);
}

/* No row has it. */
#define FRONTEND_PROTOCOL_NONE 0xff

/* Makes the key that of the row for clients from outside, whom a ClusterIP does not serve. 1: there is one. */
__noinline int frontend_resolve_external(struct frontend_key *key)
{
	struct frontend *frontend;

	if (!key)
		return 0;
	key->scope = FRONTEND_SCOPE_EXTERNAL;
	if (frontend_lookup(key))
		return 1;
	key->scope = FRONTEND_SCOPE_INTERNAL;
	frontend = frontend_lookup(key);
	if (frontend && (frontend->flags & FRONTEND_FLAG_EXTERNAL))
		return 1;
	key->protocol = FRONTEND_PROTOCOL_NONE;
	return 0;
}

/* The row for a client, who comes from outside or not. The key becomes that of the row. */
static __always_inline struct frontend *frontend_find_for(struct frontend_key *key, bool is_external)
{
	frontend_resolve(key);
	if (is_external)
		frontend_resolve_external(key);
	return frontend_lookup(key);
}

/* NULL: no frontend stands at this address, or none for clients from outside, if it is they who ask. */
static __always_inline struct frontend *service_mark(const struct address *address, bool is_external)
{
	struct frontend_key key = {.address = *address};
	struct frontend *mark = frontend_lookup(&key);

	return mark && is_external && !(mark->flags & FRONTEND_FLAG_EXTERNAL) ? NULL : mark;
}

/* Are all ports of this address services', for whoever asks? */
static __always_inline bool service_owns_address(const struct address *address, bool is_external)
{
	struct frontend *mark = service_mark(address, is_external);

	return mark && (is_external || !(mark->flags & FRONTEND_FLAG_SHARED));
}

/* As kube-proxy has it (allowFromNode), a process of the node is the node, whatever source its packets get. */
static __always_inline bool service_allows(const struct frontend *frontend, const struct address *client, bool is_node)
{
	struct source_range_key key = {
	    .prefix_length = 8 * (sizeof(key) - sizeof(key.prefix_length)),
	    .service_id = frontend->service_id,
	    .generation = frontend->generation,
	    .address = *client,
	};

	if (!(frontend->flags & FRONTEND_FLAG_SOURCE_RANGES))
		return true;
	return is_node ? frontend->flags & FRONTEND_FLAG_NODE_ALLOWED
		       : bpf_map_lookup_elem(&source_ranges, &key) != NULL;
}

struct slot_search {
	struct slot_key key;
	__u32 backend_id;
	bool is_found;
};

static long slot_search_step(__u64 index, void *context)
{
	struct slot_search *search = context;
	struct slot *slot;

	search->key.slot = index;
	slot = bpf_map_lookup_elem(&slots, &search->key);
	search->is_found = slot && slot->backend_id == search->backend_id;
	return search->is_found;
}

/* That it exists says nothing: the number of one that is gone is given to the next, of whichever service. */
static __always_inline bool service_has_backend(const struct frontend *frontend, __u32 backend_id)
{
	struct slot_search search = {
	    .key = {.service_id = frontend->service_id, .generation = frontend->generation},
	    .backend_id = backend_id,
	};

	bpf_loop(frontend->backend_count < SLOT_SEARCH_MAX ? frontend->backend_count : SLOT_SEARCH_MAX,
		 slot_search_step, &search, 0);
	return search.is_found;
}

/*
 * A choice made before is kept as long as the backend serves the service: it exists, is active, and stands among the
 * slots, which need a search only after the service has changed. True: kept, and of the present generation now.
 */
static __always_inline bool service_choice_holds(const struct frontend *frontend, const struct service_request *request,
						 struct service_choice *choice)
{
	struct backend *backend = bpf_map_lookup_elem(&backends, &choice->backend_id);

	if (!backend || backend->state != BACKEND_STATE_ACTIVE || backend->protocol != request->key.protocol)
		return false;
	if (choice->generation != frontend->generation && !service_has_backend(frontend, choice->backend_id))
		return false;
	choice->backend = backend;
	choice->generation = frontend->generation;
	return true;
}

/*
 * What a client's connection is known by, the same on every node and at each of the service's addresses. With affinity
 * it is the client alone, at each of the service's ways in.
 */
static __always_inline __u32 service_request_hash(const struct frontend *frontend,
						  const struct service_request *request)
{
	__u32 seed = address_is_ipv4(&request->client) ? config_maglev_seed_ipv4 : config_maglev_seed_ipv6;
	__u32 ports = 0;

	if (!(frontend->flags & FRONTEND_FLAG_AFFINITY))
		ports = (__u32)request->key.port << 16 | request->client_port;
	return hash_client(&request->client, ports, request->key.protocol, seed);
}

static __always_inline int service_slot_by_table(const struct frontend *frontend, const struct service_request *request)
{
	struct maglev_key key = {.service_id = frontend->service_id, .generation = frontend->generation};

	return maglev_slot(&key, service_request_hash(frontend, request) % frontend->maglev_size);
}

/*
 * Global, so that the verifier looks at it once. Negative: nothing says which. While tables are taken over, packets of
 * a connection that is not found yet must come to where its first one went.
 */
__noinline int service_slot_by_client(const struct frontend *frontend, const struct service_request *request)
{
	int slot = -1;

	if (!frontend || !request || frontend->backend_count == 0)
		return -1;
	if (request->is_external && frontend->maglev_size != 0)
		slot = service_slot_by_table(frontend, request);
	if (slot < 0 && request->client_port != 0 && takeover_is_on())
		slot = service_request_hash(frontend, request) % frontend->backend_count;
	return slot;
}

/* Any slot, every one as likely, unless the client says which. A table that is missing refuses nobody. */
static __always_inline __u32 service_slot(const struct frontend *frontend, const struct service_request *request)
{
	int slot = -1;

	/* Socket hooks know neither: there it is dead code. */
	if (request->is_external || request->client_port != 0)
		slot = service_slot_by_client(frontend, request);
	return slot >= 0 ? (__u32)slot : bpf_get_prandom_u32() % frontend->backend_count;
}

/* False: the generation went away between two look-ups. */
static __always_inline bool service_choose_slot(const struct frontend *frontend, const struct service_request *request,
						struct service_choice *choice)
{
	struct slot_key key = {
	    .service_id = frontend->service_id,
	    .generation = frontend->generation,
	    .slot = service_slot(frontend, request),
	};
	struct slot *slot = bpf_map_lookup_elem(&slots, &key);

	if (!slot)
		return false;
	choice->backend_id = slot->backend_id;
	choice->generation = key.generation;
	choice->backend = bpf_map_lookup_elem(&backends, &choice->backend_id);
	return choice->backend != NULL;
}

static __always_inline struct affinity_key affinity_key_of(const struct frontend *frontend,
							   const struct service_request *request)
{
	__u32 id = frontend->affinity_id ? frontend->affinity_id : frontend->service_id;

	return (struct affinity_key){.client = request->client, .service_id = id};
}

static __always_inline bool service_choose_by_affinity(const struct frontend *frontend,
						       const struct service_request *request,
						       struct service_choice *choice)
{
	struct affinity_key key = affinity_key_of(frontend, request);
	struct affinity *affinity = bpf_map_lookup_elem(&affinities, &key);
	__u64 now = bpf_ktime_get_ns();

	if (!affinity || affinity->last_used_ns + frontend->affinity_seconds * 1000000000ULL < now)
		return false;
	choice->backend_id = affinity->backend_id;
	choice->generation = affinity->generation;
	if (!service_choice_holds(frontend, request, choice))
		return false;
	if (config_dry_run)
		return true;
	affinity->last_used_ns = now;
	affinity->generation = choice->generation;
	return true;
}

static __always_inline void service_remember_affinity(const struct frontend *frontend,
						      const struct service_request *request,
						      const struct service_choice *choice)
{
	struct affinity_key key = affinity_key_of(frontend, request);
	struct affinity affinity = {
	    .last_used_ns = bpf_ktime_get_ns(),
	    .backend_id = choice->backend_id,
	    .generation = choice->generation,
	};

	bpf_map_update_elem(&affinities, &key, &affinity, BPF_ANY);
}

/* Socket hooks and packet path choose here, so that both mean the same. False: no backend. */
static __always_inline bool service_choose(const struct frontend *frontend, const struct service_request *request,
					   struct service_choice *choice)
{
	bool has_affinity = frontend->flags & FRONTEND_FLAG_AFFINITY;

	if (frontend->backend_count == 0)
		return false;
	if (has_affinity && service_choose_by_affinity(frontend, request, choice))
		return true;
	if (!service_choose_slot(frontend, request, choice)) {
		/* The service changed under us: its frontend is new by now. */
		frontend = frontend_lookup(&request->key);
		if (!frontend || frontend->backend_count == 0 || !service_choose_slot(frontend, request, choice))
			return false;
	}
	if (has_affinity && !config_dry_run)
		service_remember_affinity(frontend, request, choice);
	return true;
}
