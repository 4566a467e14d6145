/*
 * The reverse of socket translation: it ends with the socket, so there are no stale entries.
 *
 * What connect() was given has a place by the socket's cookie, which sock_release clears. The socket's own storage
 * would be two allocations, most of what connect() takes: it is for a socket whose place another one has, and for those
 * of whose end the kernel does not tell.
 *
 * An unconnected UDP socket has one translation for each service that it sends to, as long as there is room; then the
 * one least recently sent by gives way.
 */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"
#include "service.h"

struct connected_translation {
	/* Threads may connect and ask on one socket at once. Held for memory accesses only. */
	struct bpf_spin_lock lock;
	/* 0: it is connected to no service. */
	__u32 backend_id;
	struct address frontend;
	struct address backend;
	__be16 frontend_port;
	__be16 backend_port;
	/* Of the service when the backend was chosen. */
	__u32 generation;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct connected_translation);
} connected_translations SEC(".maps");

struct connected_socket {
	/* So far it is a connected_translation. */
	struct bpf_spin_lock lock;
	__u32 backend_id;
	struct address frontend;
	struct address backend;
	__be16 frontend_port;
	__be16 backend_port;
	__u32 generation;
	/* Of the network namespace that the socket is in. */
	__u64 netns_cookie;
	/* 0: the place is free. Else with the place's index it is the socket's cookie, which no other socket ever has.
	 */
	__u32 round;
	/* IPPROTO_* */
	__u8 protocol;
	__u8 reserved[3];
};

/* The kernel counts cookies up: sockets of one time have places side by side. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, CONNECTED_SOCKETS_MAX);
	__type(key, __u32);
	__type(value, struct connected_socket);
} connected_sockets SEC(".maps");

struct translation {
	struct address frontend;
	/* All zero: the place is free. */
	struct address backend;
	__be16 frontend_port;
	__be16 backend_port;
	__u32 backend_id;
	/* Of the service when the backend was chosen. */
	__u32 generation;
	/* The socket's `uses` when it was last sent by. */
	__u32 last_use;
};

struct socket_translations {
	/* Threads may send and receive on one socket at once. Held for memory accesses only. */
	struct bpf_spin_lock lock;
	/* Counts up with every translated send. */
	__u32 uses;
	struct translation entries[SOCKET_TRANSLATIONS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_translations);
} translations SEC(".maps");

/* Address and port of the other side, as the hooks show them. */
struct peer {
	struct address address;
	__be16 port;
	__u8 reserved[2];
};

static __always_inline void connected_store(struct connected_translation *connected,
					    const struct connected_translation *translation)
{
	bpf_spin_lock(&connected->lock);
	connected->backend_id = translation->backend_id;
	connected->frontend = translation->frontend;
	connected->backend = translation->backend;
	connected->frontend_port = translation->frontend_port;
	connected->backend_port = translation->backend_port;
	connected->generation = translation->generation;
	bpf_spin_unlock(&connected->lock);
}

static __always_inline void connected_clear(struct connected_translation *connected)
{
	bpf_spin_lock(&connected->lock);
	connected->backend_id = 0;
	bpf_spin_unlock(&connected->lock);
}

static __always_inline struct connected_socket *connected_place(__u64 cookie)
{
	__u32 index = cookie % CONNECTED_SOCKETS_MAX;

	return bpf_map_lookup_elem(&connected_sockets, &index);
}

/* 0: after 35,000,000,000,000 sockets. */
static __always_inline __u32 connected_round(__u64 cookie)
{
	__u64 round = cookie / CONNECTED_SOCKETS_MAX + 1;

	return round <= 0xffffffff ? round : 0;
}

static __always_inline __u64 connected_cookie(__u32 index, __u32 round)
{
	return (__u64)(round - 1) * CONNECTED_SOCKETS_MAX + index;
}

/* NULL: the socket has none. From a socket's own call: a place is taken from nobody before its socket is closed. */
static __always_inline struct connected_socket *connected_own_place(__u64 cookie)
{
	struct connected_socket *place = connected_place(cookie);
	__u32 round = connected_round(cookie);

	return place && round != 0 && place->round == round ? place : NULL;
}

/* False: another socket has the place. */
static __always_inline bool connected_take_place(__u64 cookie, __u64 netns_cookie, __u8 protocol,
						 const struct connected_translation *translation)
{
	struct connected_socket *place = connected_place(cookie);
	__u32 round = connected_round(cookie);

	if (!place || round == 0 || __sync_val_compare_and_swap(&place->round, 0, round) != 0)
		return false;
	place->netns_cookie = netns_cookie;
	place->protocol = protocol;
	place->frontend = translation->frontend;
	place->backend = translation->backend;
	place->frontend_port = translation->frontend_port;
	place->backend_port = translation->backend_port;
	place->generation = translation->generation;
	/* A barrier: until then nobody reads the others. */
	__sync_lock_test_and_set(&place->backend_id, translation->backend_id);
	return true;
}

static __always_inline void connected_leave_place(__u64 cookie)
{
	struct connected_socket *place = connected_own_place(cookie);

	if (!place)
		return;
	place->backend_id = 0;
	__sync_lock_test_and_set(&place->round, 0);
}

/* The backend that connect() to this frontend was given. False: it was given none. */
static __always_inline bool connected_recall(struct connected_translation *connected, const struct peer *frontend,
					     struct service_choice *choice)
{
	bool is_frontend;

	bpf_spin_lock(&connected->lock);
	is_frontend = connected->backend_id != 0 && connected->frontend_port == frontend->port &&
		      address_equal(&connected->frontend, &frontend->address);
	if (is_frontend) {
		choice->backend_id = connected->backend_id;
		choice->generation = connected->generation;
	}
	bpf_spin_unlock(&connected->lock);
	return is_frontend;
}

/* True: *peer was the backend and is the frontend now. */
static __always_inline bool connected_reverse(struct connected_translation *connected, struct peer *peer)
{
	bool is_backend;

	bpf_spin_lock(&connected->lock);
	is_backend = connected->backend_id != 0 && connected->backend_port == peer->port &&
		     address_equal(&connected->backend, &peer->address);
	if (is_backend) {
		peer->address = connected->frontend;
		peer->port = connected->frontend_port;
	}
	bpf_spin_unlock(&connected->lock);
	return is_backend;
}

static __always_inline bool translation_is_to_backend(const struct translation *entry, const struct peer *peer)
{
	return entry->backend_port == peer->port && address_equal(&entry->backend, &peer->address);
}

static __always_inline bool translation_is_to_frontend(const struct translation *entry, const struct peer *peer)
{
	return entry->frontend_port == peer->port && address_equal(&entry->frontend, &peer->address);
}

static __always_inline void translations_clear(struct socket_translations *translations)
{
	bpf_spin_lock(&translations->lock);
	translations->uses = 0;
	__builtin_memset(translations->entries, 0, sizeof(translations->entries));
	bpf_spin_unlock(&translations->lock);
}

static __always_inline struct translation *translation_by_backend(struct socket_translations *translations,
								  const struct peer *peer)
{
	for (int i = 0; i < SOCKET_TRANSLATIONS_MAX; i++)
		if (translation_is_to_backend(&translations->entries[i], peer))
			return &translations->entries[i];
	return NULL;
}

static __always_inline struct translation *translation_by_frontend(struct socket_translations *translations,
								   const struct peer *peer)
{
	for (int i = 0; i < SOCKET_TRANSLATIONS_MAX; i++)
		if (translation_is_to_frontend(&translations->entries[i], peer))
			return &translations->entries[i];
	return NULL;
}

/* A free place, or the one least recently sent by. */
static __always_inline struct translation *translation_oldest(struct socket_translations *translations)
{
	struct translation *oldest = &translations->entries[0];

	for (int i = 1; i < SOCKET_TRANSLATIONS_MAX; i++)
		/* A difference, so that it survives the counter's overflow. A free place has last_use 0. */
		if (translations->uses - translations->entries[i].last_use > translations->uses - oldest->last_use)
			oldest = &translations->entries[i];
	return oldest;
}

/* What is sent to a backend's own address comes back from there: no service may answer for it. */
static __always_inline void translation_forget_backend(struct socket_translations *translations,
						       const struct peer *peer)
{
	struct translation *entry;

	bpf_spin_lock(&translations->lock);
	entry = translation_by_backend(translations, peer);
	if (entry)
		__builtin_memset(entry, 0, sizeof(*entry));
	bpf_spin_unlock(&translations->lock);
}

static __always_inline void translation_store(struct socket_translations *translations, const struct peer *frontend,
					      const struct service_choice *choice)
{
	struct peer backend = {.address = choice->backend->address, .port = choice->backend->port};
	struct translation *entry;

	bpf_spin_lock(&translations->lock);
	/* One backend behind two services: the reply belongs to the service that was asked last. */
	entry = translation_by_backend(translations, &backend);
	if (!entry)
		entry = translation_by_frontend(translations, frontend);
	if (!entry)
		entry = translation_oldest(translations);
	entry->frontend = frontend->address;
	entry->backend = backend.address;
	entry->frontend_port = frontend->port;
	entry->backend_port = backend.port;
	entry->backend_id = choice->backend_id;
	entry->generation = choice->generation;
	entry->last_use = ++translations->uses;
	bpf_spin_unlock(&translations->lock);
}

/* The backend that datagrams to this frontend went to. False: none did. */
static __always_inline bool translation_recall(struct socket_translations *translations, const struct peer *frontend,
					       struct service_choice *choice)
{
	struct translation *entry;

	bpf_spin_lock(&translations->lock);
	entry = translation_by_frontend(translations, frontend);
	if (entry) {
		choice->backend_id = entry->backend_id;
		choice->generation = entry->generation;
	}
	bpf_spin_unlock(&translations->lock);
	return entry != NULL;
}

/* True: *peer was a backend and is the frontend now. */
static __always_inline bool translation_reverse(struct socket_translations *translations, struct peer *peer)
{
	struct translation *entry;

	bpf_spin_lock(&translations->lock);
	entry = translation_by_backend(translations, peer);
	if (entry) {
		peer->address = entry->frontend;
		peer->port = entry->frontend_port;
	}
	bpf_spin_unlock(&translations->lock);
	return entry != NULL;
}
