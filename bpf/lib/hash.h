/* A hash of an address and its ports. */
#pragma once
#include "address.h"

static __always_inline __u32 hash_rotate(__u32 word, __u32 bits)
{
	return word << bits | word >> (32 - bits);
}

/*
 * Bob Jenkins' lookup3 of six words, as the kernel's jhash2 has it. Every bit counts, so that neighbours and a client's
 * ports one after the other are spread.
 */
static __always_inline __u32 hash_client(const struct address *client, __u32 ports, __u32 protocol, __u32 seed)
{
	__u32 a = 0xdeadbeef + (6 << 2) + seed, b = a, c = a;

	a += client->words[0];
	b += client->words[1];
	c += client->words[2];
	a -= c, a ^= hash_rotate(c, 4), c += b;
	b -= a, b ^= hash_rotate(a, 6), a += c;
	c -= b, c ^= hash_rotate(b, 8), b += a;
	a -= c, a ^= hash_rotate(c, 16), c += b;
	b -= a, b ^= hash_rotate(a, 19), a += c;
	c -= b, c ^= hash_rotate(b, 4), b += a;
	a += client->words[3];
	b += ports;
	c += protocol;
	c ^= b, c -= hash_rotate(b, 14);
	a ^= c, a -= hash_rotate(c, 11);
	b ^= a, b -= hash_rotate(a, 25);
	c ^= b, c -= hash_rotate(b, 16);
	a ^= c, a -= hash_rotate(c, 4);
	b ^= a, b -= hash_rotate(a, 14);
	c ^= b, c -= hash_rotate(b, 24);
	return c;
}
