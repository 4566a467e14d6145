/* The reverse of socket translation: it lives in the socket and dies with it, so there are no stale entries. */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

struct translation {
	struct address frontend;
	struct address backend;
	__be16 frontend_port;
	__be16 backend_port;
	__u32 rev_nat_index;
};

/* An unconnected UDP socket talks to several services; past this many the oldest place is taken. */
struct socket_translations {
	__u32 count;
	__u32 reserved;
	struct translation entries[SOCKET_TRANSLATIONS_MAX];
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct socket_translations);
} translations SEC(".maps");
