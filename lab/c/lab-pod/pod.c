#include "pod.h"
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fflush(stdout);
	fputs("lab-pod: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(STATUS_FAILED);
}

socklen_t address_length(const address_t *address)
{
	return address->ss_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
}

const char *address_text(const address_t *address, char text[ADDRESS_TEXT])
{
	char host[INET6_ADDRSTRLEN];

	if (address->ss_family == AF_INET) {
		const struct sockaddr_in *v4 = (const void *)address;

		inet_ntop(AF_INET, &v4->sin_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT, "%s:%u", host, ntohs(v4->sin_port));
		return text;
	}
	const struct sockaddr_in6 *v6 = (const void *)address;

	if (IN6_IS_ADDR_V4MAPPED(&v6->sin6_addr)) {
		inet_ntop(AF_INET, &v6->sin6_addr.s6_addr[12], host, sizeof(host));
		snprintf(text, ADDRESS_TEXT, "%s:%u", host, ntohs(v6->sin6_port));
	} else {
		inet_ntop(AF_INET6, &v6->sin6_addr, host, sizeof(host));
		snprintf(text, ADDRESS_TEXT, "[%s]:%u", host, ntohs(v6->sin6_port));
	}
	return text;
}

int address_parse(const char *text, uint16_t port, address_t *address)
{
	struct sockaddr_in *v4 = (void *)address;
	struct sockaddr_in6 *v6 = (void *)address;

	memset(address, 0, sizeof(*address));
	if (inet_pton(AF_INET, text, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		return 1;
	}
	if (inet_pton(AF_INET6, text, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		return 1;
	}
	return 0;
}

int server_socket(int type, uint16_t port)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	int yes = 1, no = 0;
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	int has_v6 = fd >= 0;

	if (!has_v6)
		fd = socket(AF_INET, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		fail("make a socket for port %u", port);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (has_v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	if (has_v6 ? bind(fd, (void *)&v6, sizeof(v6)) : bind(fd, (void *)&v4, sizeof(v4)))
		fail("bind to %s port %u", type == SOCK_STREAM ? "TCP" : "UDP", port);
	/* Replies leave from the address that was asked, also where a host has several. */
	if (type == SOCK_DGRAM && has_v6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &yes, sizeof(yes));
	else if (type == SOCK_DGRAM)
		setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &yes, sizeof(yes));
	if (type == SOCK_STREAM && listen(fd, 512))
		fail("listen on TCP port %u", port);
	return fd;
}

uint64_t now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000ull + now.tv_nsec / 1000;
}

long number_option(const char *name, const char *text, long least, long most)
{
	char *end = NULL;
	long value = text ? strtol(text, &end, 10) : 0;

	if (!text || end == text || *end || value < least || value > most) {
		fprintf(stderr, "lab-pod: %s wants a number from %ld to %ld, not '%s'\n", name, least, most,
			text ? text : "");
		exit(STATUS_USAGE);
	}
	return value;
}

static void end(int signal)
{
	(void)signal;
	_exit(0);
}

int pause_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	signal(SIGTERM, end);
	signal(SIGINT, end);
	for (;;)
		pause();
}
