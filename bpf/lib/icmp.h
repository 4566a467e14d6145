/* ICMP (RFC 792) and ICMPv6 (RFC 4443): the part of <linux/icmp.h> that can be included without libc. */
#pragma once
#include <linux/icmpv6.h>
#include "address.h"

#define ICMP_ECHOREPLY 0
#define ICMP_DEST_UNREACH 3
#define ICMP_SOURCE_QUENCH 4
#define ICMP_ECHO 8
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETERPROB 12

/* Codes of ICMP_DEST_UNREACH. */
#define ICMP_PORT_UNREACH 3
#define ICMP_FRAG_NEEDED 4

/* The first 8 bytes of both, as echo has them. */
struct icmp_header {
	__u8 type;
	__u8 code;
	__be16 checksum;
	__be16 identifier;
	__be16 sequence;
};
