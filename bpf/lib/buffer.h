/*
 * The packet as the kernel hands it to a program: a socket buffer at TC, a frame at XDP, where no socket buffer has
 * been made yet. What reads packets is written once, for both. An object is for one of them: that for XDP defines
 * BUFFER_IS_FRAME before it includes anything.
 */
#pragma once
#include "map.h"

#ifdef BUFFER_IS_FRAME
typedef struct xdp_md buffer_t;

/* False: the packet ends before. */
static __always_inline bool buffer_load(const void *buffer, __u32 offset, void *to, __u32 length)
{
	return bpf_xdp_load_bytes((struct xdp_md *)buffer, offset, to, length) == 0;
}

static __always_inline __u32 buffer_length(buffer_t *buffer)
{
	return bpf_xdp_get_buff_len(buffer);
}

/* A frame is what came by the wire: never several in one. */
static __always_inline __u32 buffer_gso_size(const buffer_t *buffer __attribute__((unused)))
{
	return 0;
}

static __always_inline bool buffer_has_vlan(const buffer_t *buffer __attribute__((unused)))
{
	return false;
}
#else
typedef struct __sk_buff buffer_t;

static __always_inline bool buffer_load(const void *buffer, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes(buffer, offset, to, length) == 0;
}

static __always_inline __u32 buffer_length(buffer_t *buffer)
{
	return buffer->len;
}

static __always_inline __u32 buffer_gso_size(const buffer_t *buffer)
{
	return buffer->gso_size;
}

/* A tag that the sender's device has "offloaded" stands beside the packet, not in it. */
static __always_inline bool buffer_has_vlan(const buffer_t *buffer)
{
	return buffer->vlan_present;
}
#endif
