/* The node's devices that face the network, as the agent chose them. */
#pragma once
#include "address.h"
#include "limits.h"
#include "map.h"

struct device {
	/* What pods' packets leave with; all zero: it has none of the family. */
	struct address ipv4;
	struct address ipv6;
	__u32 reserved[4];
};

/* ifindex -> device */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DEVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, struct device);
} devices SEC(".maps");

static __always_inline struct device *device_lookup(__u32 ifindex)
{
	return bpf_map_lookup_elem(&devices, &ifindex);
}

/* All zero: none of the family, or the agent has not told us yet. */
static __always_inline struct address device_address(const struct device *device, bool is_ipv4)
{
	if (!device)
		return (struct address){};
	return is_ipv4 ? device->ipv4 : device->ipv6;
}
