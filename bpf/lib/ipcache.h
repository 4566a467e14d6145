/* ipcache: address or prefix -> identity and node to tunnel to. Exact first, longest prefix for what is not there. */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

enum ipcache_flag {
	/*
	 * Who has an address of this prefix, a pod of this node or a service, has a row of its own: nobody is at the
	 * others. Handed to the host they would come back by sluice_host, with an ICMP redirect to the sender.
	 */
	IPCACHE_FLAG_UNROUTABLE = 1,
	/* An address of another node itself: who may tunnel to us. */
	IPCACHE_FLAG_NODE = 2,
};

struct ipcache_entry {
	/* Node to encapsulate to; all zero: reachable without the tunnel. */
	struct address tunnel_endpoint;
	__u32 identity;
	__u32 flags;
	/* The largest packet that fits into the tunnel to this node; 0: as the tunnel's device has it. */
	__u32 mtu;
	__u32 reserved;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, IPCACHE_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, struct ipcache_entry);
} ipcache SEC(".maps");

struct ipcache_prefix_key {
	/* Of the 128 bits: an IPv4 prefix of n bits counts 96 + n. */
	__u32 prefix_length;
	struct address address;
};

struct {
	__uint(type, BPF_MAP_TYPE_LPM_TRIE);
	__uint(max_entries, IPCACHE_PREFIX_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct ipcache_prefix_key);
	__type(value, struct ipcache_entry);
} ipcache_prefix SEC(".maps");

static __always_inline struct ipcache_entry *ipcache_lookup(const struct address *address)
{
	struct ipcache_prefix_key key = {.prefix_length = 128, .address = *address};
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache, address);

	return entry ? entry : bpf_map_lookup_elem(&ipcache_prefix, &key);
}

/* Another node itself. */
static __always_inline bool ipcache_is_node(const struct address *address)
{
	struct ipcache_entry *entry = bpf_map_lookup_elem(&ipcache, address);

	return entry && (entry->flags & IPCACHE_FLAG_NODE);
}
