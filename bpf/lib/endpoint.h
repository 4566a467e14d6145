/* Endpoints: the local workload interfaces that this node manages, and the node itself. */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

enum endpoint_flag {
	/* The address belongs to the node: deliver to the host's stack, there is no pod behind it. */
	ENDPOINT_FLAG_HOST = 1,
	/* An address of the node outside of nodePort.addresses: a NodePort's number is the node's own there. */
	ENDPOINT_FLAG_NO_NODE_PORTS = 2,
};

struct endpoint {
	__u32 id;
	/* Host-side veth, in the node's namespace. */
	__u32 ifindex;
	__u32 identity;
	__u32 flags;
	/* The pod's interface. */
	struct mac mac;
	/* What the pod sees as its gateway's address. */
	struct mac node_mac;
	__u32 reserved[5];
};

/* A pod's or the node's address -> who lives there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct address);
	__type(value, struct endpoint);
} endpoints SEC(".maps");

struct netns_endpoint {
	__u32 endpoint_id;
	__u32 identity;
	/* All zero where the endpoint has no address of the family. */
	struct address ipv4;
	struct address ipv6;
};

/* Cookie of a network namespace (SO_NETNS_COOKIE) -> the endpoint inside, so that the socket hooks know the client. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, ENDPOINTS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct netns_endpoint);
} netns_endpoints SEC(".maps");

static __always_inline struct endpoint *endpoint_lookup(const struct address *address)
{
	return bpf_map_lookup_elem(&endpoints, address);
}
