/* A raw packet looked at and rewritten in place: what is wrong with it before is wrong with it after. */
#pragma once

#include "wire.h"

/* Where things are in a packet that goes in or out. */
struct view {
	uint8_t *source, *destination, *payload;
	size_t address_size, payload_length;
	int family;
	uint8_t protocol;
	int is_first, is_fragment;
};

/* 0 when it is no whole IP packet; of the payload there may be less than it says (quotes in errors). */
int view_packet(struct view *view, uint8_t *packet, size_t length);
int view_has_ports(const struct view *view);
/* An ICMP error, which quotes a packet. */
int view_is_error(const struct view *view);
/* Two bytes of the payload: ports lie at 0 and 2. */
uint16_t view_number(const struct view *view, size_t offset);
int view_checksum_is_right(const struct view *view);
/* At the start of the payload's header, over all of the payload. */
void view_fill_checksum(const struct view *view);
/* `place` is view->source or view->destination. */
void view_replace_address(const struct view *view, uint8_t *place, const address_t *address);
/* `offset` is where a port lies in the payload. */
void view_replace_port(const struct view *view, size_t offset, uint16_t port);
/* Of the IP header, where it has one. */
void packet_fill_header_checksum(uint8_t *packet);
