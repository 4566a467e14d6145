/*
 * Datagrams from so many ports to one address, each with its own number, which must come back to the socket that sent
 * it; all sockets are open until the end. Stops where one is not answered. Prints how many were answered before that:
 * {"answered":16384}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include "load.h"

/* Asked at once, so that the server's buffer takes them. */
#define CHUNK 64
#define TIMEOUT_MS 1000

static int ask(const struct client *client, uint16_t port)
{
	struct sockaddr_in source = {.sin_family = AF_INET,
				     .sin_port = htons(port),
				     .sin_addr = ((const struct sockaddr_in *)&client->source)->sin_addr};
	uint64_t number = port;
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("make a socket");
	if (bind(fd, (void *)&source, sizeof(source)))
		fail("bind to port %u", port);
	if (connect(fd, (const void *)&client->address, client->address_length))
		fail("connect");
	/* Refused: the node has no port left and says so. */
	if (send(fd, &number, sizeof(number), 0) != sizeof(number) && errno != EPERM)
		fail("send a datagram");
	return fd;
}

static int is_answered(int fd, uint16_t port, uint64_t deadline)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	uint64_t now = now_ns(), number;

	if (poll(&polled, 1, now < deadline ? (deadline - now) / 1000000 + 1 : 0) != 1)
		return 0;
	if (recv(fd, &number, sizeof(number), MSG_DONTWAIT) != sizeof(number))
		return 0;
	errno = 0;
	if (number != port)
		fail("port %u has got the answer of port %lu: two connections have one port", port, number);
	return 1;
}

int ports_main(int argc, char **argv)
{
	struct rlimit files;
	struct client client;
	int fds[CHUNK];
	long answered = 0;

	client_parse(argc, argv, &client);
	if (client.first_port + client.count > 65536)
		fail("ports: no port is above 65535");
	if (getrlimit(RLIMIT_NOFILE, &files) || (files.rlim_cur = files.rlim_max, setrlimit(RLIMIT_NOFILE, &files)))
		fail("open as many files as may be");
	for (long first = 0; first < client.count && answered == first; first += CHUNK) {
		int count = client.count - first < CHUNK ? client.count - first : CHUNK;
		uint64_t deadline;

		for (int i = 0; i < count; i++)
			fds[i] = ask(&client, client.first_port + first + i);
		deadline = now_ns() + TIMEOUT_MS * 1000000ull;
		while (answered < first + count &&
		       is_answered(fds[answered - first], client.first_port + answered, deadline))
			answered++;
	}
	printf("{\"answered\":%ld}\n", answered);
	return 0;
}
