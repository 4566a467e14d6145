/* Where a frame goes from XDP: by the kernel's routes and neighbours, out of a device that takes it. */
#pragma once
#include "limits.h"
#include "map.h"

enum frame_device_flag {
	/* Its XDP program runs before the driver makes socket buffers, and may send frames back by it (XDP_TX). */
	FRAME_DEVICE_FLAG_RETURNS = 1,
	/* Sends frames that XDP programs hand to it (XDP_REDIRECT). */
	FRAME_DEVICE_FLAG_TAKES = 2,
	/* Its XDP program runs on socket buffers, which every device takes (generic XDP). */
	FRAME_DEVICE_FLAG_GENERIC = 4,
	/* It also sends frames that lie in several buffers. */
	FRAME_DEVICE_FLAG_FRAGMENTS = 8,
	/* Has the address that the node's tunnel ends at (config_underlay_*): what else leaves by it the stack may give
	   another source. */
	FRAME_DEVICE_FLAG_UNDERLAY_IPV4 = 16,
	FRAME_DEVICE_FLAG_UNDERLAY_IPV6 = 32,
};

/*
 * ifindex -> enum frame_device_flag, of the devices that face the network. What a device cannot send is lost without a
 * trace: the agent knows what drivers can do, and without a row or a flag the packet is TC's.
 */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, DEVICES_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u32);
	__type(value, __u32);
} frame_devices SEC(".maps");

/* How often a packet takes the stack's way: the kernel doubts a neighbour only when it sends to it itself. */
#define NEXT_HOP_CHECK_NS (8 * 1000000000ULL)

/* [by the hash of a next hop] of each CPU: when a packet to it was last left to the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, NEXT_HOPS_MAX);
	__type(key, __u32);
	__type(value, __u64);
} next_hops_checked SEC(".maps");

/*
 * XDP_TX, XDP_REDIRECT, or XDP_PASS: the device does not send frames, or lacks a flag that is required. What a veth is
 * to send back itself (XDP_TX) lies there until its other end is woken by something else, unless that end runs a
 * program, too (veth_xdp_flush, 6.18): it goes out as if it had come by another device.
 */
static __always_inline int next_hop_action(struct xdp_md *frame, __u32 ingress, __u32 ifindex, __u32 required)
{
	bool is_scattered = bpf_xdp_get_buff_len(frame) > (__u64)frame->data_end - frame->data;
	__u32 *from = bpf_map_lookup_elem(&frame_devices, &ingress);
	__u32 *to = bpf_map_lookup_elem(&frame_devices, &ifindex);
	bool is_same = ingress == ifindex;

	if (!from || !to || (*to & required) != required)
		return XDP_PASS;
	if (*from & FRAME_DEVICE_FLAG_GENERIC)
		return is_same ? XDP_TX : XDP_REDIRECT;
	if (is_scattered && !(*to & FRAME_DEVICE_FLAG_FRAGMENTS))
		return XDP_PASS;
	if (is_same && (*to & FRAME_DEVICE_FLAG_RETURNS))
		return XDP_TX;
	return *to & FRAME_DEVICE_FLAG_TAKES ? XDP_REDIRECT : XDP_PASS;
}

/* Next hops that share a place are looked at less often each. */
static __always_inline bool next_hop_is_due(const struct bpf_fib_lookup *fib)
{
	__u32 key = (fib->ifindex ^ fib->dmac[3] ^ fib->dmac[4] ^ fib->dmac[5]) % NEXT_HOPS_MAX;
	__u64 *checked = bpf_map_lookup_elem(&next_hops_checked, &key), now = bpf_ktime_get_coarse_ns();

	if (!checked)
		return true;
	if (*checked != 0 && *checked + NEXT_HOP_CHECK_NS > now)
		return false;
	*checked = now;
	return true;
}

/*
 * XDP_PASS: the stack's business, to resolve its neighbour, to fragment or to refuse it. `ingress` is read once, by the
 * caller: of several reads clang 19 makes a pointer into the context, which the verifier does not take ("dereference of
 * modified ctx ptr", 6.18).
 */
static __always_inline int next_hop_find(struct xdp_md *frame, __u32 ingress, struct bpf_fib_lookup *fib,
					 __u32 required)
{
	int action;

	if (bpf_fib_lookup(frame, fib, sizeof(*fib), 0) != BPF_FIB_LKUP_RET_SUCCESS)
		return XDP_PASS;
	action = next_hop_action(frame, ingress, fib->ifindex, required);
	return action != XDP_PASS && next_hop_is_due(fib) ? XDP_PASS : action;
}

static __always_inline int next_hop_send(int action, const struct bpf_fib_lookup *fib)
{
	return action == XDP_REDIRECT ? bpf_redirect(fib->ifindex, 0) : action;
}
