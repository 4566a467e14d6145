/* IPv6 extension headers: what stands between the network header and the transport's. */
#pragma once
#include <linux/in.h>
#include "map.h"

#define IPV6_FRAGMENT_OFFSET 0xfff8
#define IPV6_MORE_FRAGMENTS 1

/* A header of the chain: the next one's protocol, and its own length (RFC 8200 4). */
struct ipv6_extension {
	__u8 next;
	__u8 length;
	/* Of a fragment header. */
	__be16 fragment_offset;
	__be32 fragment_id;
};

static __always_inline bool ipv6_is_extension(__u8 protocol)
{
	return protocol == IPPROTO_HOPOPTS || protocol == IPPROTO_ROUTING || protocol == IPPROTO_FRAGMENT ||
	       protocol == IPPROTO_DSTOPTS || protocol == IPPROTO_AH;
}

static __always_inline __u32 ipv6_extension_length(__u8 protocol, const struct ipv6_extension *extension)
{
	if (protocol == IPPROTO_FRAGMENT)
		return 8;
	if (protocol == IPPROTO_AH)
		return (extension->length + 2) * 4; /* RFC 4302 2.2 */
	return (extension->length + 1) * 8;
}
