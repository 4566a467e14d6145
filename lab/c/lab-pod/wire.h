/* Raw packets: checksums (RFC 1071), headers, and sockets that no socket hook knows. */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include "pod.h"

#define PACKET_BYTES_MAX 65535

/* Over 16-bit words as they lie in memory; only the last part of what is summed may be odd. */
uint32_t checksum_add(uint32_t sum, const void *data, size_t length);
uint16_t checksum_fold(uint32_t sum);
/* What TCP, UDP and ICMPv6 sum before their own bytes. */
uint32_t checksum_pseudo(const address_t *source, const address_t *destination, uint8_t protocol, uint32_t length);
/* The checksum after some words under it have changed (RFC 1624). */
uint16_t checksum_replace(uint16_t checksum, const void *before, const void *after, size_t length);

/* The 4 or 16 bytes of an address. */
const void *address_bytes(const address_t *address);
size_t address_size(const address_t *address);
int address_is_same(const address_t *a, const address_t *b);
address_t address_from(int family, const void *bytes);
/* Without port and brackets. */
const char *host_text(const address_t *address, char text[ADDRESS_TEXT]);

/* The address with which packets to the target leave; 0 when there is no route. Asks no hook of connect(). */
int source_towards(const address_t *target, address_t *source);
/* The route's MTU, 0 when there is no route. */
int mtu_towards(const address_t *target);

/* Sends IP packets whole, with their headers. Ends the program when we may not. */
int packet_sender(int family);

struct packet_header {
	const address_t *source, *destination;
	/* For fragments: bytes from the start of the payload, and whether more follow. */
	size_t offset;
	uint32_t id;
	uint16_t has_more;
	uint8_t protocol;
	uint8_t is_fragment;
};

/* Writes what stands before the payload, with a fragment header of IPv6 where it is one; returns its length. */
size_t packet_header_write(uint8_t *packet, const struct packet_header *header, size_t payload_length);
