/*
 * Sizes and limits, in one place. A hash costs 16 bytes a row of its size from the start, empty as it may be, an LRU
 * all of its rows: together they stay below 24 MiB a node.
 */
#pragma once

/* This node's own pods, two addresses each. */
#define ENDPOINTS_MAX 8192
#define IPCACHE_MAX 65536
#define IPCACHE_PREFIX_MAX 65536
#define FRONTENDS_MAX 65536
/* Every backend twice: in two families, or in two generations. */
#define SLOTS_MAX 524288
#define BACKENDS_MAX 262144
#define AFFINITIES_MAX 12288
/* Ranges of clients, once for each address and port that only they may use. */
#define SOURCE_RANGES_MAX 65536
/*
 * 1,820 Maglev tables of the default size of 16,381 entries, which take 9 of them each: for services that ask for one.
 * The agent makes the map larger where all do.
 */
#define MAGLEV_CHUNKS_MAX 16384
/* As many as make a row of the hash 4,080 bytes: the kernel would round one that is larger to 8,192. */
#define MAGLEV_CHUNK_SLOTS 2000
/* What kube-proxy gives a node at least. */
#define CONNTRACK_MAX 131072
#define CONNTRACK_NEW_MAX 16384
/* Entries in the former, beyond which connections that end give way: who collects them walks over all of them. */
#define CONNTRACK_ENDED_MAX (CONNTRACK_MAX / 8)
/* Entries in it, beyond which no connection is promoted of which only one side is seen. */
#define CONNTRACK_ONE_WAY_MAX (CONNTRACK_MAX / 2)
/* Datagrams whose fragments are under way. */
#define FRAGMENTS_MAX 2048
/* Fragments that came before their first; a datagram of 65,535 bytes has 46 on an MTU of 1500. */
#define FRAGMENTS_HELD_MAX 64
/* The longest of them, Ethernet header included: of an MTU of 9000. */
#define FRAGMENT_HELD_BYTES 9216
/* Network devices of the node that face the network. */
#define DEVICES_MAX 64
/* Next hops of frames, by a hash: other nodes on the link, and its routers. */
#define NEXT_HOPS_MAX 64
/* Ports for translated sources where their own is taken: none of these that NodePorts may have (config_node_port_*). */
enum snat_port {
	SNAT_PORT_FIRST = 1024,
	SNAT_PORT_LAST = 65535,
};
/* Numbers that a search goes through, whether they are such ports or not. */
#define SNAT_NUMBERS 65536
/*
 * From one look to the next in a shortage: odd, so that each port has its turn, and their number divided by the golden
 * ratio, so that looks in a row are spread over it, wherever those lie that are free.
 */
#define SNAT_STEP 40503
/* Ports tried before a connection is refused. */
#define SNAT_LOOKS_MAX 512
/* So many of these, when they are at random, leave out ports that are at rest. */
#define SNAT_LOOKS_RESTED 64
/* Who needs so many is short of ports: it happens when one of twenty is free. */
#define SNAT_LOOKS_HARD 128
/* Who needs no more, so often in a row, is not: then a third of them is free at least. */
#define SNAT_LOOKS_EASY 4
#define SNAT_EASY_MAX 8
/* Marks of ports at rest: as many as a source's ports, 128 KiB. */
#define RESTS_MAX 65536
/* How long nobody looks, when each port was seen taken. */
#define SNAT_EXHAUSTED_NS 1000000000ULL
/* Conntrack has room for fewer connections than two such destinations have. */
#define SHORTAGES_MAX 256
#define EVENTS_BYTES (1 << 20)
#define COUNTERS_MAX 256
/* Each pod has one, the node a few; no node has half as many pods. */
#define KERNEL_DEVICES_MAX (ENDPOINTS_MAX / 2)
/* The kernel has some 130 reasons, and of places that give none as many again. */
#define KERNEL_DROPS_MAX 512
/* Drop events of a CPU: so many at once, and one more after each interval. */
#define EVENT_BURST_MAX 256
#define EVENT_INTERVAL_NS 1000000ULL
/* Places for sockets that are connected to services, a power of two. Others have a storage of their own. */
#define CONNECTED_SOCKETS_MAX 8192
#define SOCKET_TRANSLATIONS_MAX 8
/* Ended at once; the others follow. */
#define STALE_SOCKETS_MAX 1024
#define IPV6_EXTENSIONS_MAX 6
/* Beyond so many slots a backend is not looked for: who had one there gets another when the service has changed. */
#define SLOT_SEARCH_MAX 8192
