/*
 * The option of DSR: in the packets that nodes tunnel to each other, the frontend that the client named. It stands
 * right behind the fixed header, in IPv4 as an option, in IPv6 as a header of destination options before all others:
 * where it is put in and taken out no other header moves. Numbers as the incumbent has them.
 */
#pragma once
#include "packet.h"

/* 26, with the mark that fragments have it, too (RFC 791 3.1). */
#define DSR_IPV4_OPTION 0x9a
/* To be skipped by who does not know it (RFC 8200 4.2). */
#define DSR_IPV6_OPTION 0x1b
#define IPV6_PAD_N 1

struct dsr_option_ipv4 {
	__u8 type;
	__u8 length;
	__be16 port;
	__be32 address;
};

struct dsr_option_ipv6 {
	/* Of the extension header: the next one's protocol, and its own length in 8 bytes, the first 8 not counted. */
	__u8 next;
	__u8 header_length;
	__u8 type;
	/* From here to the padding. */
	__u8 length;
	struct address address;
	__be16 port;
	/* To a multiple of 8. */
	__u8 pad_type;
	__u8 pad_length;
};

#define DSR_IPV4_OFFSET (NETWORK_OFFSET + sizeof(struct iphdr))
#define DSR_IPV6_OFFSET (NETWORK_OFFSET + sizeof(struct ipv6hdr))

static __always_inline __u32 dsr_option_length(const struct packet *packet)
{
	return packet_is_ipv4(packet) ? sizeof(struct dsr_option_ipv4) : sizeof(struct dsr_option_ipv6);
}

static __always_inline bool dsr_option_is_in_ipv4(buffer_t *buffer)
{
	struct dsr_option_ipv4 option;

	return packet_load(buffer, DSR_IPV4_OFFSET, &option, sizeof(option)) && option.type == DSR_IPV4_OPTION;
}

static __always_inline bool dsr_option_is_in_ipv6(buffer_t *buffer)
{
	struct dsr_option_ipv6 option;

	return packet_load(buffer, DSR_IPV6_OFFSET, &option, sizeof(option)) && option.type == DSR_IPV6_OPTION;
}
