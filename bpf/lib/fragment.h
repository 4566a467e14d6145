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

struct fragment_ports {
	__be16 source;
	__be16 destination;
	__u8 protocol;
	/* The first has come: the ports are known. */
	__u8 is_known;
	/* Others came before, and wait. */
	__u8 has_waiting;
	__u8 reserved;
};

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
	struct fragment_ports *present = bpf_map_lookup_elem(&fragments, &key);
	struct fragment_ports ports = {
	    .source = packet->tuple.source_port,
	    .destination = packet->tuple.destination_port,
	    .protocol = packet->tuple.protocol,
	    .is_known = 1,
	};

	packet->has_waiting = present && present->has_waiting;
	if (!config_dry_run)
		bpf_map_update_elem(&fragments, &key, &ports, BPF_ANY);
}

static __always_inline void fragment_recall(struct packet *packet)
{
	struct fragment_key key = fragment_key_of(packet);
	struct fragment_ports *ports = bpf_map_lookup_elem(&fragments, &key);

	packet->lacks_ports = !ports || !ports->is_known;
	if (!ports || !ports->is_known)
		return;
	packet->tuple.source_port = ports->source;
	packet->tuple.destination_port = ports->destination;
	packet->tuple.protocol = ports->protocol;
}
