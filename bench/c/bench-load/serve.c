/*
 * The other side of every client: connections one after the other (the client resets them), datagrams, and streams.
 * Prints "ready" when it listens.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "load.h"

int listen_at(int type, uint16_t port)
{
	struct sockaddr_in6 any = {.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = in6addr_any};
	int no = 0, yes = 1;
	int fd = socket(AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("make a socket");
	setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof(no));
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (void *)&any, sizeof(any)) || (type == SOCK_STREAM && listen(fd, 4096)))
		fail("listen at port %u", port);
	return fd;
}

static void swallow(int fd)
{
	static char block[256 << 10];
	uint64_t arrived = 1;
	ssize_t got;

	while ((got = recv(fd, block, sizeof(block), 0)) > 0)
		arrived += got;
	send(fd, &arrived, sizeof(arrived), MSG_NOSIGNAL);
}

static void serve_connection(int fd, char token)
{
	/* A client that is stuck must not hold the others for ever. */
	struct timeval timeout = {.tv_sec = 5};
	char first;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (recv(fd, &first, 1, 0) == 1) {
		if (first == BYTE_STREAM)
			swallow(fd);
		else if (send(fd, &token, 1, MSG_NOSIGNAL) == 1)
			recv(fd, &first, 1, 0); /* until the client has gone */
	}
	close(fd);
}

/* What is longer than a byte comes back as it is. */
void answer_datagrams(int fd, char token)
{
	struct sockaddr_storage peer;
	char bytes[8];

	for (;;) {
		socklen_t length = sizeof(peer);
		ssize_t got = recvfrom(fd, bytes, sizeof(bytes), 0, (void *)&peer, &length);

		if (got < 0)
			return;
		sendto(fd, got > 1 ? bytes : &token, got > 1 ? got : 1, 0, (void *)&peer, length);
	}
}

int serve_main(int argc, char **argv)
{
	errno = 0;
	if (argc < 3 || strlen(argv[2]) != 1)
		fail("serve: PORT and a TOKEN of one character are missing");
	long port = number_of("PORT", argv[1], 1, 65535);
	if (argc > 4 && !strcmp(argv[3], "--cpu"))
		pin_to(argv[4]);
	struct pollfd polled[] = {
	    {.fd = listen_at(SOCK_STREAM, port), .events = POLLIN},
	    {.fd = listen_at(SOCK_DGRAM, port), .events = POLLIN},
	};
	puts("ready");
	fflush(stdout);
	for (;;) {
		if (poll(polled, 2, -1) < 0)
			fail("wait");
		if (polled[1].revents)
			answer_datagrams(polled[1].fd, *argv[2]);
		if (!polled[0].revents)
			continue;
		/* The socket that accept() gives has not inherited O_NONBLOCK. */
		for (int fd; (fd = accept(polled[0].fd, NULL, NULL)) >= 0;)
			serve_connection(fd, *argv[2]);
	}
}
