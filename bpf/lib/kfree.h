/*
 * What the kernel drops after our programs have returned: a redirect that fails, a full queue, a neighbour that does
 * not answer, the host's own checks. Seen where the kernel frees a packet for a reason, on devices of ours only. It has
 * its own counters, as its reasons are the kernel's: numbers that differ from version to version and are named by its
 * BTF.
 */
#pragma once
#include "drop.h"
#include "limits.h"
#include "map.h"
#include "shot.h"

#define KERNEL_REASON_WORDS 4
#define KERNEL_DEVICE_NAME_BYTES 16
#define KERNEL_FUNCTION_BYTES 40

/* Written by the agent; [0]. All zero, as the map begins: nothing is looked at, since no namespace has cookie 0. */
struct kernel_drop_settings {
	/* The node's network namespace: others have devices with the same numbers. */
	__u64 netns_cookie;
	/* Bit n: reason n is no loss on our way. Reasons beyond are of other subsystems, none of them left out. */
	__u64 ignored_reasons[KERNEL_REASON_WORDS];
	/* SKB_DROP_REASON_NOT_SPECIFIED: who freed the packet says more. */
	__u32 unspecified_reason;
	/* SKB_DROP_REASON_TC_INGRESS and _EGRESS: ours are counted already, see shot.h. */
	__u32 tc_ingress_reason;
	__u32 tc_egress_reason;
	__u32 reserved[5];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct kernel_drop_settings);
} kernel_settings SEC(".maps");

enum kernel_device_flag {
	/* Of a network that others use, too: frames to groups and to other hosts are no concern of ours. */
	KERNEL_DEVICE_FLAG_SHARED = 1,
};

/* Ifindex in the node's namespace -> enum kernel_device_flag: devices that a program of ours is attached to. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KERNEL_DEVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} kernel_devices SEC(".maps");

struct kernel_drop_key {
	/* enum skb_drop_reason */
	__u32 reason;
	__u32 reserved;
	/* Address of the kernel's code that freed it, where the reason says nothing; else 0. */
	__u64 location;
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, KERNEL_DROPS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct kernel_drop_key);
	__type(value, struct counter);
} kernel_drops SEC(".maps");

struct kernel_function {
	/* As in /proc/kallsyms; zeros behind. */
	__u8 name[KERNEL_FUNCTION_BYTES];
	/* Of a socket or a transport protocol, which the packet has reached: none of our concern. */
	__u8 is_transport;
	__u8 reserved[7];
};

/* Place in the kernel's code that drops without a reason -> the function there, filled as they are met. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KERNEL_DROPS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct kernel_function);
} kernel_places SEC(".maps");

struct kernel_drop_event {
	/* enum event_type */
	__u8 type;
	/* Where the network header stands in `packet`: behind an Ethernet header, or at 0. */
	__u8 network_offset;
	__be16 protocol;
	__u32 reason;
	__u64 timestamp_ns;
	/* 0: on a device of the node; else inside this endpoint's namespace. */
	__u32 endpoint_id;
	__u32 packet_length;
	__u32 captured_length;
	__u32 reserved;
	/* NUL-terminated, as `function`. */
	__u8 device[KERNEL_DEVICE_NAME_BYTES];
	__u8 function[KERNEL_FUNCTION_BYTES];
	__u8 packet[EVENT_PACKET_BYTES];
};
