/* An address: 16 bytes for both families; IPv4 is mapped into IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
#pragma once
#include <stdbool.h>
#include <linux/types.h>
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_endian.h>

struct address {
	__be32 words[4];
};

struct mac {
	__u8 bytes[6];
};

#define ADDRESS_IPV4_MARK bpf_htonl(0xffff)

static __always_inline struct address address_from_ipv4(__be32 word)
{
	return (struct address){{0, 0, ADDRESS_IPV4_MARK, word}};
}

static __always_inline bool address_is_ipv4(const struct address *address)
{
	return address->words[0] == 0 && address->words[1] == 0 && address->words[2] == ADDRESS_IPV4_MARK;
}

/* All zero: "none" in maps and configuration, the unspecified address of IPv6 in packets. */
static __always_inline bool address_is_zero(const struct address *address)
{
	return (address->words[0] | address->words[1] | address->words[2] | address->words[3]) == 0;
}

static __always_inline bool address_equal(const struct address *a, const struct address *b)
{
	return a->words[0] == b->words[0] && a->words[1] == b->words[1] && a->words[2] == b->words[2] &&
	       a->words[3] == b->words[3];
}

/* fe80::/10 */
static __always_inline bool address_is_link_local(const struct address *address)
{
	return (address->words[0] & bpf_htonl(0xffc00000)) == bpf_htonl(0xfe800000);
}

/* 127.0.0.0/8, ::1 */
static __always_inline bool address_is_loopback(const struct address *address)
{
	if (address_is_ipv4(address))
		return (address->words[3] & bpf_htonl(0xff000000)) == bpf_htonl(0x7f000000);
	return (address->words[0] | address->words[1] | address->words[2]) == 0 && address->words[3] == bpf_htonl(1);
}

/* ff00::/8; 224.0.0.0/4; 255.255.255.255 */
static __always_inline bool address_is_multicast(const struct address *address)
{
	if (!address_is_ipv4(address))
		return (address->words[0] & bpf_htonl(0xff000000)) == bpf_htonl(0xff000000);
	return (address->words[3] & bpf_htonl(0xf0000000)) == bpf_htonl(0xe0000000) || address->words[3] == 0xffffffff;
}

/* No single host has it: the stack takes no packet from there (RFC 1122 3.2.1.3, RFC 4291 2.5.2 and 2.7). */
static __always_inline bool address_is_nobodys(const struct address *address)
{
	if (address_is_multicast(address))
		return true;
	return address_is_ipv4(address) ? address->words[3] == 0 : address_is_zero(address);
}

static __always_inline bool mac_equal(const struct mac *a, const struct mac *b)
{
	return a->bytes[0] == b->bytes[0] && a->bytes[1] == b->bytes[1] && a->bytes[2] == b->bytes[2] &&
	       a->bytes[3] == b->bytes[3] && a->bytes[4] == b->bytes[4] && a->bytes[5] == b->bytes[5];
}
