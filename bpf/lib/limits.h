/* Sizes and limits, in one place. */
#pragma once

#define ENDPOINTS_MAX 65536
#define IPCACHE_MAX 262144
#define IPCACHE_PREFIX_MAX 65536
#define FRONTENDS_MAX 65536
#define SLOTS_MAX 1048576
#define BACKENDS_MAX 262144
#define AFFINITIES_MAX 16384
#define CONNTRACK_MAX 262144
#define CONNTRACK_NEW_MAX 16384
#define EVENTS_BYTES (1 << 20)
#define COUNTERS_MAX 256
#define SOCKET_TRANSLATIONS_MAX 8
#define IPV6_EXTENSIONS_MAX 6
/* Past this many slots a backend is taken to belong to its service as long as it exists. */
#define SLOT_SEARCH_MAX 256
