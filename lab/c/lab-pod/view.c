#include "view.h"
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <string.h>

#define IPV6_HEADER_BYTES 40
#define FRAGMENT_HEADER_BYTES 8

static int view_ipv4(struct view *view, uint8_t *packet, size_t length)
{
	struct iphdr *ip = (void *)packet;
	size_t header = ip->ihl * 4;
	uint16_t fragment = ntohs(ip->frag_off);

	*view = (struct view){.source = (void *)&ip->saddr,
			      .destination = (void *)&ip->daddr,
			      .payload = packet + header,
			      .address_size = 4,
			      .payload_length = length - header,
			      .family = AF_INET,
			      .protocol = ip->protocol,
			      .is_first = !(fragment & IP_OFFMASK),
			      .is_fragment = (fragment & (IP_OFFMASK | IP_MF)) != 0};
	return header >= sizeof(*ip) && length >= header;
}

static int view_ipv6(struct view *view, uint8_t *packet, size_t length)
{
	const uint8_t *fragment = packet + 40;

	*view = (struct view){.source = packet + 8,
			      .destination = packet + 24,
			      .payload = packet + 40,
			      .address_size = 16,
			      .payload_length = length - 40,
			      .family = AF_INET6,
			      .protocol = packet[6],
			      .is_first = 1};
	if (view->protocol != IPPROTO_FRAGMENT || length < 48)
		return view->protocol != IPPROTO_FRAGMENT;
	view->protocol = fragment[0];
	view->is_first = fragment[2] == 0 && (fragment[3] & 0xf8) == 0;
	view->is_fragment = 1;
	view->payload += 8;
	view->payload_length -= 8;
	return 1;
}

int view_packet(struct view *view, uint8_t *packet, size_t length)
{
	return packet[0] >> 4 == 4 ? view_ipv4(view, packet, length) : view_ipv6(view, packet, length);
}

static size_t checksum_offset(uint8_t protocol)
{
	switch (protocol) {
	case IPPROTO_TCP:
		return 16;
	case IPPROTO_UDP:
		return 6;
	default: /* ICMP of either family */
		return 2;
	}
}

/* The checksum that covers the addresses, or NULL. ICMP of IPv4 covers none. */
static uint8_t *address_checksum(const struct view *view)
{
	size_t offset = checksum_offset(view->protocol);
	int is_known =
	    view->protocol == IPPROTO_TCP || view->protocol == IPPROTO_UDP || view->protocol == IPPROTO_ICMPV6;

	return is_known && view->is_first && view->payload_length >= offset + 2 ? view->payload + offset : NULL;
}

/* Puts other bytes in, and makes up for it in the checksum: what was wrong before is wrong after. */
static void view_replace(const struct view *view, uint8_t *place, const void *bytes, size_t size)
{
	uint8_t *at = address_checksum(view);
	uint16_t checksum;

	if (at) {
		memcpy(&checksum, at, 2);
		int is_absent = view->protocol == IPPROTO_UDP && !checksum;
		checksum = checksum_replace(checksum, place, bytes, size);
		if (view->protocol == IPPROTO_UDP && !checksum)
			checksum = 0xffff;
		if (!is_absent)
			memcpy(at, &checksum, 2);
	}
	memcpy(place, bytes, size);
}

void view_replace_address(const struct view *view, uint8_t *place, const address_t *address)
{
	view_replace(view, place, address_bytes(address), view->address_size);
}

void view_replace_port(const struct view *view, size_t offset, uint16_t port)
{
	uint16_t wire = htons(port);

	view_replace(view, view->payload + offset, &wire, sizeof(wire));
}

void packet_fill_header_checksum(uint8_t *packet)
{
	struct iphdr *ip = (void *)packet;

	if (ip->version != 4)
		return;
	ip->check = 0;
	ip->check = checksum_fold(checksum_add(0, ip, ip->ihl * 4));
}

uint16_t view_number(const struct view *view, size_t offset)
{
	return view->payload[offset] << 8 | view->payload[offset + 1];
}

int view_has_ports(const struct view *view)
{
	return (view->protocol == IPPROTO_TCP || view->protocol == IPPROTO_UDP) && view->is_first &&
	       view->payload_length >= 8;
}

static uint32_t pseudo_of(const struct view *view)
{
	address_t source = address_from(view->family, view->source);
	address_t destination = address_from(view->family, view->destination);

	return view->protocol == IPPROTO_ICMP
		   ? 0
		   : checksum_pseudo(&source, &destination, view->protocol, view->payload_length);
}

static uint16_t checksum_of(const struct view *view)
{
	return checksum_fold(checksum_add(pseudo_of(view), view->payload, view->payload_length));
}

int view_checksum_is_right(const struct view *view)
{
	return checksum_of(view) == 0;
}

void view_fill_checksum(const struct view *view)
{
	uint8_t *at = view->payload + checksum_offset(view->protocol);
	uint16_t checksum = 0;

	memcpy(at, &checksum, 2);
	checksum = checksum_of(view);
	if (!checksum && view->protocol == IPPROTO_UDP)
		checksum = 0xffff;
	memcpy(at, &checksum, 2);
}

int view_is_error(const struct view *view)
{
	if (!view->payload_length || !view->is_first)
		return 0;
	if (view->protocol == IPPROTO_ICMPV6)
		return view->payload[0] < 128;
	return view->protocol == IPPROTO_ICMP && view->payload[0] != ICMP_ECHOREPLY && view->payload[0] != ICMP_ECHO;
}
