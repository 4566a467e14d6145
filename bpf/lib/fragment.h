/*
 * Fragments: only the first of a datagram has ports, and each of them has addresses that may be translated. The ports
 * of the first are remembered by what its fragments share.
 */
#pragma once
#include "config.h"
#include "limits.h"
#include "map.h"
#include "packet.h"

/* What makes fragments one datagram (RFC 791 3.2, RFC 8200 4.5). */
struct fragment_key {
	struct address source;
	struct address destination;
	__be32 id;
	/* Of IPv4; in IPv6 the fragments' headers need not agree. */
	__u8 protocol;
	__u8 reserved[3];
};

enum fragment_flag {
	/* The first has come: the ports are known. */
	FRAGMENT_FLAG_KNOWN = 1,
	/* Others have come before it, and wait. */
	FRAGMENT_FLAG_WAITING = 2,
};

struct fragment_ports {
	/* When the first came; in FRAGMENT_LIFE_NS its datagram is whole, or given up. */
	__u64 known_ns;
	/* Changed atomically: the first and the others may come on different CPUs at once and must not miss it. */
	__u32 flags;
	__be16 source;
	__be16 destination;
	__u8 protocol;
	__u8 reserved[7];
};

/* As long as Linux waits for the rest (ipfrag_time): identifications come again. */
#define FRAGMENT_LIFE_NS 30000000000ULL

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, FRAGMENTS_MAX);
	__type(key, struct fragment_key);
	__type(value, struct fragment_ports);
} fragments SEC(".maps");

static __always_inline struct fragment_key fragment_key_of(const struct packet *packet)
{
	return (struct fragment_key){
	    .source = packet->tuple.source,
	    .destination = packet->tuple.destination,
	    .id = packet->fragment_id,
	    .protocol = packet_is_ipv4(packet) ? packet->tuple.protocol : 0,
	};
}

static __always_inline void fragment_remember(struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	struct fragment_ports *present;
	struct fragment_ports ports = {
	    .known_ns = bpf_ktime_get_ns(),
	    .flags = FRAGMENT_FLAG_KNOWN,
	    .source = packet->tuple.source_port,
	    .destination = packet->tuple.destination_port,
	    .protocol = packet->tuple.protocol,
	};

	if (config_dry_run || bpf_map_update_elem(&fragments, &key, &ports, BPF_NOEXIST) == 0)
		return;
	present = bpf_map_lookup_elem(&fragments, &key);
	if (!present)
		return;
	present->source = ports.source;
	present->destination = ports.destination;
	present->protocol = ports.protocol;
	present->known_ns = ports.known_ns;
	if (!(__sync_fetch_and_or(&present->flags, FRAGMENT_FLAG_KNOWN) & FRAGMENT_FLAG_WAITING))
		return;
	__sync_fetch_and_and(&present->flags, ~FRAGMENT_FLAG_WAITING);
	packet->has_waiting = 1;
}

static __always_inline void fragment_take_ports(struct packet *packet, const struct fragment_ports *ports)
{
	packet->lacks_ports = 0;
	packet->tuple.source_port = ports->source;
	packet->tuple.destination_port = ports->destination;
	packet->tuple.protocol = ports->protocol;
}

static __always_inline void fragment_recall(struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	struct fragment_ports *ports = bpf_map_lookup_elem(&fragments, &key);

	packet->lacks_ports = 1;
	if (!ports || !(ports->flags & FRAGMENT_FLAG_KNOWN))
		return;
	if (ports->known_ns + FRAGMENT_LIFE_NS > bpf_ktime_get_ns())
		fragment_take_ports(packet, ports);
	else if (!config_dry_run)
		bpf_map_delete_elem(&fragments, &key);
}

/* True: it waits. False: the first has come meanwhile, and the packet has its ports now; or nothing can be noted. */
static __always_inline bool fragment_wait(struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	struct fragment_ports *present, waiting = {.flags = FRAGMENT_FLAG_WAITING};

	if (bpf_map_update_elem(&fragments, &key, &waiting, BPF_NOEXIST) == 0)
		return true;
	present = bpf_map_lookup_elem(&fragments, &key);
	if (!present)
		return false;
	if (!(__sync_fetch_and_or(&present->flags, FRAGMENT_FLAG_WAITING) & FRAGMENT_FLAG_KNOWN))
		return true;
	__sync_fetch_and_and(&present->flags, ~FRAGMENT_FLAG_WAITING);
	fragment_take_ports(packet, present);
	packet->arrived = packet->tuple;
	return false;
}
