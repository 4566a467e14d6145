/* An address: 16 bytes for both families; IPv4 is mapped into IPv6 (::ffff:a.b.c.d, RFC 4291 2.5.5.2). */
#pragma once
#include <linux/types.h>

struct address {
	__be32 words[4];
};

struct mac {
	__u8 bytes[6];
};
