/*
 * Serves a zone file over UDP and TCP, and reads it again when it has been replaced. A line of it is a record:
 *   NAME A|AAAA ADDRESS          NAME SRV PRIORITY WEIGHT PORT TARGET          NAME PTR TARGET
 * Every other name does not exist: there is nobody to forward to.
 */
#include "dns.h"
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include "pod.h"

#define LINE_MAX_BYTES 1024
#define TTL_SECONDS 5
#define TCP_TIMEOUT_MS 1000
/* What a client without EDNS takes (RFC 1035 4.2.1); longer answers are asked for again over TCP. */
#define UDP_ANSWER_MAX 512
#define UDP_BATCH 64

struct record {
	char name[DNS_NAME_MAX];
	enum dns_type type;
	size_t length;
	/* The record's data as it goes on the wire; names in it are not compressed. */
	uint8_t data[DNS_NAME_MAX + 6];
};

static struct record *records;
static size_t record_count;
static const char *zone_path, *zone_name = "cluster.local";
static struct stat zone_state;

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct record *)a)->name, ((const struct record *)b)->name);
}

static int parse_record(char *line, struct record *record)
{
	char type[8], value[DNS_NAME_MAX];
	unsigned priority, weight, port;

	memset(record, 0, sizeof(*record));
	if (sscanf(line, "%255s %7s %255s", record->name, type, value) != 3)
		return 0;
	if (!strcmp(type, "A")) {
		record->type = DNS_A;
		record->length = 4;
		return inet_pton(AF_INET, value, record->data) == 1;
	}
	if (!strcmp(type, "AAAA")) {
		record->type = DNS_AAAA;
		record->length = 16;
		return inet_pton(AF_INET6, value, record->data) == 1;
	}
	if (!strcmp(type, "PTR")) {
		record->type = DNS_PTR;
		record->length = dns_write_name(record->data, sizeof(record->data), 0, value);
		return record->length > 0;
	}
	if (!strcmp(type, "SRV") && sscanf(line, "%*s %*s %u %u %u %255s", &priority, &weight, &port, value) == 4) {
		record->type = DNS_SRV;
		dns_write16(record->data, priority);
		dns_write16(record->data + 2, weight);
		dns_write16(record->data + 4, port);
		record->length = dns_write_name(record->data, sizeof(record->data), 6, value);
		return record->length > 0;
	}
	return 0;
}

static void read_zone(void)
{
	char line[LINE_MAX_BYTES];
	size_t capacity = 0;
	int number = 0;
	FILE *file = fopen(zone_path, "re");

	if (!file || fstat(fileno(file), &zone_state)) {
		fprintf(stderr, "dns: %s: %s\n", zone_path, strerror(errno));
		if (file)
			fclose(file);
		return;
	}
	record_count = 0;
	while (fgets(line, sizeof(line), file)) {
		number++;
		if (line[0] == '#' || line[0] == '\n')
			continue;
		if (record_count == capacity || !records) {
			capacity = capacity ? 2 * capacity : 256;
			records = realloc(records, capacity * sizeof(*records));
			if (!records)
				fail("memory for %zu records", capacity);
		}
		if (parse_record(line, &records[record_count]))
			record_count++;
		else
			fprintf(stderr, "dns: %s:%d: not a record: %s", zone_path, number, line);
	}
	fclose(file);
	qsort(records, record_count, sizeof(*records), by_name);
}

static void read_zone_if_replaced(void)
{
	struct stat now;

	if (stat(zone_path, &now))
		return; /* between two versions there is the last one */
	if (now.st_ino != zone_state.st_ino || now.st_mtim.tv_nsec != zone_state.st_mtim.tv_nsec ||
	    now.st_mtim.tv_sec != zone_state.st_mtim.tv_sec || now.st_size != zone_state.st_size)
		read_zone();
}

/* The first record at or after that name. */
static size_t position_of(const char *name)
{
	size_t low = 0, high = record_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (strcmp(records[middle].name, name) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* A name without records of its own exists when one below it does (RFC 8020): no search list must stop there. */
static int has_name_below(const char *name)
{
	size_t length = strlen(name);

	for (size_t i = 0; i < record_count; i++) {
		size_t other = strlen(records[i].name);

		if (other > length && records[i].name[other - length - 1] == '.' &&
		    !strcmp(records[i].name + other - length, name))
			return 1;
	}
	return 0;
}

static size_t write_record_header(uint8_t *answer, size_t at, uint16_t type, uint16_t length)
{
	static const uint8_t in_and_ttl[] = {0, 1, 0, 0, 0, TTL_SECONDS};

	dns_write16(answer + at, type);
	memcpy(answer + at + 2, in_and_ttl, sizeof(in_and_ttl));
	dns_write16(answer + at + 8, length);
	return at + 10;
}

static size_t write_record(uint8_t *answer, size_t limit, size_t at, const struct record *record)
{
	if (at + 12 + record->length > limit)
		return 0;
	dns_write16(answer + at, 0xc000 | DNS_HEADER_BYTES); /* the name that was asked for */
	at = write_record_header(answer, at + 2, record->type, record->length);
	memcpy(answer + at, record->data, record->length);
	return at + record->length;
}

/* So that "no" may be remembered for as long as "yes" (RFC 2308). */
static size_t write_authority(uint8_t *answer, size_t limit, size_t at)
{
	uint8_t data[DNS_NAME_MAX * 2 + 20];
	size_t length = dns_write_name(data, sizeof(data), 0, "ns.dns.cluster.local");

	length = dns_write_name(data, sizeof(data), length, "hostmaster.cluster.local");
	for (int i = 0; i < 5; i++, length += 4)
		memcpy(data + length, (uint8_t[]){0, 0, 0, TTL_SECONDS}, 4);
	size_t after_name = dns_write_name(answer, limit, at, zone_name);
	if (!after_name || after_name + 10 + length > limit)
		return at;
	at = write_record_header(answer, after_name, DNS_SOA, length);
	memcpy(answer + at, data, length);
	dns_write16(answer + 8, 1);
	return at + length;
}

static size_t answer_query(const uint8_t *query, size_t size, uint8_t *answer, size_t limit)
{
	char name[DNS_NAME_MAX];
	size_t after = size >= DNS_HEADER_BYTES ? dns_read_name(query, size, DNS_HEADER_BYTES, name) : 0;

	if (size < DNS_HEADER_BYTES || query[2] & 0x80)
		return 0; /* nothing to answer to, or an answer itself */
	memset(answer, 0, DNS_HEADER_BYTES);
	memcpy(answer, query, 2);
	answer[2] = 0x84 | (query[2] & 0x79); /* answer, authoritative; operation and "recursion desired" as asked */
	answer[3] = 0x80;
	if (query[2] & 0x78 || dns_read16(query + 4) != 1 || !after || after + 4 > size) {
		answer[3] |= query[2] & 0x78 ? DNS_UNSUPPORTED : DNS_MALFORMED;
		return DNS_HEADER_BYTES;
	}
	uint16_t type = dns_read16(query + after);
	size_t at = after + 4, count = 0, first = position_of(name), i;
	memcpy(answer + DNS_HEADER_BYTES, query + DNS_HEADER_BYTES, at - DNS_HEADER_BYTES);
	dns_write16(answer + 4, 1);
	for (i = first; i < record_count && !strcmp(records[i].name, name); i++) {
		if (type != records[i].type && type != DNS_ANY)
			continue;
		size_t next = write_record(answer, limit, at, &records[i]);
		if (!next) {
			answer[2] |= 2; /* truncated */
			break;
		}
		at = next;
		count++;
	}
	dns_write16(answer + 6, count);
	if (i == first && !has_name_below(name))
		answer[3] |= DNS_NO_NAME;
	return count ? at : write_authority(answer, limit, at);
}

static void serve_datagrams(int fd)
{
	uint8_t query[DNS_MESSAGE_MAX], answer[DNS_MESSAGE_MAX], control[256];

	for (int i = 0; i < UDP_BATCH; i++) {
		address_t peer;
		struct iovec part = {query, sizeof(query)};
		struct msghdr message = {.msg_name = &peer,
					 .msg_namelen = sizeof(peer),
					 .msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t size = recvmsg(fd, &message, 0);

		if (size < 0)
			return;
		/* Answered from the address that was asked, by whatever route. */
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
			if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO)
				((struct in6_pktinfo *)CMSG_DATA(c))->ipi6_ifindex = 0;
			else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO)
				((struct in_pktinfo *)CMSG_DATA(c))->ipi_ifindex = 0;
		}
		part = (struct iovec){answer, answer_query(query, size, answer, UDP_ANSWER_MAX)};
		if (part.iov_len)
			sendmsg(fd, &message, 0);
	}
}

/* One question a connection, one connection at a time, and no patience: TCP is only for what UDP does not hold. */
static void serve_stream(int listener)
{
	uint8_t query[DNS_MESSAGE_MAX], answer[2 + DNS_MESSAGE_MAX];
	struct timeval patience = {.tv_sec = TCP_TIMEOUT_MS / 1000, .tv_usec = TCP_TIMEOUT_MS % 1000 * 1000};
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	uint8_t length[2];

	if (fd < 0)
		return;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	if (recv(fd, length, 2, MSG_WAITALL) == 2 && dns_read16(length) <= sizeof(query) &&
	    recv(fd, query, dns_read16(length), MSG_WAITALL) == dns_read16(length)) {
		size_t size = answer_query(query, dns_read16(length), answer + 2, DNS_MESSAGE_MAX);

		dns_write16(answer, size);
		if (size)
			send(fd, answer, size + 2, MSG_NOSIGNAL);
	}
	close(fd);
}

int dns_main(int argc, char **argv)
{
	uint16_t port = 53;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (!strcmp(argv[i], "--zone"))
			zone_path = argv[i + 1];
		else if (!strcmp(argv[i], "--port"))
			port = number_option(argv[i], argv[i + 1], 1, 65535);
		else
			zone_path = NULL, i = argc;
	}
	if (!zone_path || argc % 2 == 0) {
		fprintf(stderr, "usage: dns --zone FILE [--port PORT]\n");
		return STATUS_USAGE;
	}
	read_zone();
	struct pollfd polled[] = {{.fd = server_socket(SOCK_DGRAM, port), .events = POLLIN},
				  {.fd = server_socket(SOCK_STREAM, port), .events = POLLIN}};
	printf("serving %zu records of %s on port %u\n", record_count, zone_path, port);
	fflush(stdout);
	for (;;) {
		if (poll(polled, 2, -1) < 0)
			continue;
		read_zone_if_replaced();
		if (polled[0].revents)
			serve_datagrams(polled[0].fd);
		if (polled[1].revents)
			serve_stream(polled[1].fd);
	}
}
