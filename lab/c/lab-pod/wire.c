#include "wire.h"
#include <arpa/inet.h>
#include <netinet/ip.h>
#include <netinet/ip6.h>
#include <string.h>
#include <unistd.h>

uint32_t checksum_add(uint32_t sum, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	uint16_t word;

	for (; length > 1; length -= 2, bytes += 2) {
		memcpy(&word, bytes, 2);
		sum += word;
		sum = (sum & 0xffff) + (sum >> 16);
	}
	if (length) {
		word = 0;
		memcpy(&word, bytes, 1);
		sum += word;
	}
	return sum;
}

uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

uint32_t checksum_pseudo(const address_t *source, const address_t *destination, uint8_t protocol, uint32_t length)
{
	uint32_t words[2] = {htonl(length), htonl(protocol)};
	uint32_t sum = checksum_add(0, address_bytes(source), address_size(source));

	sum = checksum_add(sum, address_bytes(destination), address_size(destination));
	return checksum_add(sum, words, sizeof(words));
}

uint16_t checksum_replace(uint16_t checksum, const void *before, const void *after, size_t length)
{
	uint32_t removed = checksum_add(0, before, length);

	removed = (removed & 0xffff) + (removed >> 16);
	return checksum_fold(checksum_add((uint16_t)~checksum + ((uint16_t)~removed), after, length));
}

const void *address_bytes(const address_t *address)
{
	if (address->ss_family == AF_INET)
		return &((const struct sockaddr_in *)address)->sin_addr;
	return &((const struct sockaddr_in6 *)address)->sin6_addr;
}

size_t address_size(const address_t *address)
{
	return address->ss_family == AF_INET ? 4 : 16;
}

int address_is_same(const address_t *a, const address_t *b)
{
	return a->ss_family == b->ss_family && !memcmp(address_bytes(a), address_bytes(b), address_size(a));
}

address_t address_from(int family, const void *bytes)
{
	address_t address = {.ss_family = family};

	memcpy((void *)address_bytes(&address), bytes, address_size(&address));
	return address;
}

const char *host_text(const address_t *address, char text[ADDRESS_TEXT])
{
	return inet_ntop(address->ss_family, address_bytes(address), text, ADDRESS_TEXT);
}

int source_towards(const address_t *target, address_t *source)
{
	/* A raw socket's connect() only asks for the route. */
	int fd = socket(target->ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP);
	socklen_t length = sizeof(*source);

	if (fd < 0)
		fail("open a raw socket (it takes the capability NET_RAW)");
	int has_route =
	    !connect(fd, (const void *)target, address_length(target)) && !getsockname(fd, (void *)source, &length);
	close(fd);
	((struct sockaddr_in *)source)->sin_port = 0;
	return has_route;
}

int mtu_towards(const address_t *target)
{
	int fd = socket(target->ss_family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_UDP), mtu = 0;
	int is_ipv4 = target->ss_family == AF_INET;
	socklen_t length = sizeof(mtu);

	if (fd < 0)
		fail("open a raw socket (it takes the capability NET_RAW)");
	if (connect(fd, (const void *)target, address_length(target)) ||
	    getsockopt(fd, is_ipv4 ? IPPROTO_IP : IPPROTO_IPV6, is_ipv4 ? IP_MTU : IPV6_MTU, &mtu, &length))
		mtu = 0;
	close(fd);
	return mtu;
}

int packet_sender(int family)
{
	int fd = socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), yes = 1;

	if (fd < 0 || (family == AF_INET6 && setsockopt(fd, IPPROTO_IPV6, IPV6_HDRINCL, &yes, sizeof(yes))))
		fail("open a raw socket (it takes the capability NET_RAW)");
	return fd;
}

static size_t write_ipv4(uint8_t *packet, const struct packet_header *header, size_t payload_length)
{
	struct iphdr ip = {
	    .version = 4,
	    .ihl = sizeof(ip) / 4,
	    .tot_len = htons(sizeof(ip) + payload_length),
	    .id = htons(header->id),
	    .frag_off = htons(header->offset / 8 | (header->has_more ? IP_MF : 0)),
	    .ttl = 64,
	    .protocol = header->protocol,
	};

	memcpy(&ip.saddr, address_bytes(header->source), 4);
	memcpy(&ip.daddr, address_bytes(header->destination), 4);
	ip.check = checksum_fold(checksum_add(0, &ip, sizeof(ip)));
	memcpy(packet, &ip, sizeof(ip));
	return sizeof(ip);
}

static size_t write_ipv6(uint8_t *packet, const struct packet_header *header, size_t payload_length)
{
	struct ip6_frag fragment = {
	    .ip6f_nxt = header->protocol,
	    .ip6f_offlg = htons(header->offset | (header->has_more ? 1 : 0)),
	    .ip6f_ident = htonl(header->id),
	};
	size_t extra = header->is_fragment ? sizeof(fragment) : 0;
	struct ip6_hdr ip = {
	    .ip6_flow = htonl(6u << 28),
	    .ip6_plen = htons(extra + payload_length),
	    .ip6_nxt = header->is_fragment ? IPPROTO_FRAGMENT : header->protocol,
	    .ip6_hlim = 64,
	};

	memcpy(&ip.ip6_src, address_bytes(header->source), 16);
	memcpy(&ip.ip6_dst, address_bytes(header->destination), 16);
	memcpy(packet, &ip, sizeof(ip));
	memcpy(packet + sizeof(ip), &fragment, extra);
	return sizeof(ip) + extra;
}

size_t packet_header_write(uint8_t *packet, const struct packet_header *header, size_t payload_length)
{
	if (header->source->ss_family == AF_INET)
		return write_ipv4(packet, header, payload_length);
	return write_ipv6(packet, header, payload_length);
}
