#include "load.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fputs("bench-load: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(1);
}

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ull + now.tv_nsec;
}

void pin_to(const char *cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(number_of("--cpu", cpu, 0, CPU_SETSIZE - 1), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		fail("run on CPU %s", cpu);
}

long number_of(const char *name, const char *text, long least, long most)
{
	char *end;
	long value = text ? strtol(text, &end, 10) : 0;

	if (!text || *end || value < least || value > most) {
		errno = 0;
		fail("%s wants a number from %ld to %ld, not %s", name, least, most, text ? text : "nothing");
	}
	return value;
}

/* Gives its length. */
static socklen_t parse_address(const char *text, uint16_t port, struct sockaddr_storage *address)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return sizeof(*v4);
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return sizeof(*v6);
	}
	errno = 0;
	fail("no address: %s", text);
}

void client_parse(int argc, char **argv, struct client *client)
{
	*client = (struct client){.count = 1000, .milliseconds = 1000, .interval_us = 250, .first_port = 1024};
	errno = 0;
	if (argc < 3)
		fail("%s: ADDRESS PORT are missing", argv[0]);
	uint16_t port = number_of("PORT", argv[2], 1, 65535);
	client->address_length = parse_address(argv[1], port, &client->address);
	for (int i = 3; i < argc; i += 2) {
		if (!strcmp(argv[i], "--cpu"))
			pin_to(argv[i + 1]);
		else if (!strcmp(argv[i], "--count"))
			client->count = number_of(argv[i], argv[i + 1], 1, 10000000);
		else if (!strcmp(argv[i], "--milliseconds"))
			client->milliseconds = number_of(argv[i], argv[i + 1], 1, 600000);
		else if (!strcmp(argv[i], "--interval-us"))
			client->interval_us = number_of(argv[i], argv[i + 1], 0, 1000000);
		else if (!strcmp(argv[i], "--kept"))
			client->kept = number_of(argv[i], argv[i + 1], 0, 1000000);
		else if (!strcmp(argv[i], "--rate"))
			client->rate = number_of(argv[i], argv[i + 1], 0, 10000000);
		else if (!strcmp(argv[i], "--seed"))
			client->seed = number_of(argv[i], argv[i + 1], 0, INT32_MAX);
		else if (!strcmp(argv[i], "--sources"))
			client->sources = number_of(argv[i], argv[i + 1], 0, 200);
		else if (!strcmp(argv[i], "--source") && argv[i + 1])
			parse_address(argv[i + 1], 0, &client->source);
		else if (!strcmp(argv[i], "--other") && argv[i + 1])
			parse_address(argv[i + 1], port, &client->other);
		else if (!strcmp(argv[i], "--first-port"))
			client->first_port = number_of(argv[i], argv[i + 1], 1, 65535);
		else
			fail("%s: unknown option %s", argv[0], argv[i]);
	}
}

static int compare(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

uint64_t quantile_ns(uint64_t *values, size_t count, double share)
{
	size_t index = share * count;

	qsort(values, count, sizeof(*values), compare);
	return values[index < count ? index : count - 1];
}

static int open_client(const struct client *client)
{
	/* Longer than any answer that is not lost. */
	struct timeval timeout = {.tv_sec = 2};
	struct linger reset = {.l_onoff = 1};
	int fd = socket(client->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("make a socket");
	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
	return fd;
}

int exchange(const struct client *client, uint64_t *connect_ns, uint64_t *connected_ns)
{
	char ask = BYTE_ASK, token;
	int fd = open_client(client);
	uint64_t began = now_ns();

	if (connect(fd, (const void *)&client->address, client->address_length))
		fail("connect");
	*connected_ns = now_ns();
	*connect_ns = *connected_ns - began;
	if (send(fd, &ask, 1, MSG_NOSIGNAL) != 1)
		fail("send");
	if (recv(fd, &token, 1, 0) != 1)
		fail("receive");
	close(fd);
	return (unsigned char)token;
}

int peer_is(int fd, const struct sockaddr_storage *named)
{
	struct sockaddr_storage peer = {0};
	socklen_t length = sizeof(peer);

	if (getpeername(fd, (void *)&peer, &length))
		return 0;
	if (named->ss_family == AF_INET) {
		const struct sockaddr_in *seen = (void *)&peer, *asked = (void *)named;

		return seen->sin_addr.s_addr == asked->sin_addr.s_addr && seen->sin_port == asked->sin_port;
	}
	const struct sockaddr_in6 *seen = (void *)&peer, *asked = (void *)named;

	return !memcmp(&seen->sin6_addr, &asked->sin6_addr, sizeof(seen->sin6_addr)) &&
	       seen->sin6_port == asked->sin6_port;
}

void check_peer(int fd, const struct client *client)
{
	errno = 0;
	if (!peer_is(fd, &client->address))
		fail("getpeername tells another address than the one that was asked for");
}

size_t allow_files(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit))
		fail("ask how many files are allowed");
	limit.rlim_cur = limit.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &limit))
		fail("allow %lu files", limit.rlim_max);
	return limit.rlim_cur;
}
