/*
 * Sockets that come and go in all the ways there are, in an order that the seed decides: closed, aborted, closed before
 * they are connected, connected anew and to nobody, unconnected ones that send here and there, and whole processes
 * killed with all that they have open. Prints how many calls were made of each way: {"closed":1000,...}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "load.h"

/* Sockets of a process that is killed. */
#define KILLED_WITH 64

static struct client client;
static uint64_t state;

static uint32_t random_below(uint32_t bound)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state >> 32) % bound;
}

static const struct sockaddr_storage *any_service(void)
{
	return random_below(2) ? &client.other : &client.address;
}

static int make(int type)
{
	struct timeval timeout = {.tv_sec = 5};
	int fd = socket(client.address.ss_family, type | SOCK_CLOEXEC, 0);

	if (fd < 0)
		fail("make a socket");
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	return fd;
}

static void connect_to(int fd, const struct sockaddr_storage *address)
{
	if (connect(fd, (const void *)address, client.address_length))
		fail("connect");
	errno = 0;
	if (!peer_is(fd, address))
		fail("getpeername tells another address than the one that was asked for");
}

static void ask(int fd)
{
	char byte = BYTE_ASK;

	if (send(fd, &byte, 1, MSG_NOSIGNAL) != 1)
		fail("send");
	if (recv(fd, &byte, 1, 0) != 1)
		fail("receive");
}

static int connected(int type)
{
	int fd = make(type);

	connect_to(fd, any_service());
	return fd;
}

static void closed(void)
{
	int fd = connected(SOCK_STREAM);

	ask(fd);
	close(fd);
}

static void aborted(void)
{
	struct linger reset = {.l_onoff = 1};
	int fd = connected(SOCK_STREAM);

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

/* Nobody waits for the answer to its SYN. */
static void given_up(void)
{
	int fd = make(SOCK_STREAM | SOCK_NONBLOCK);

	if (connect(fd, (const void *)any_service(), client.address_length) && errno != EINPROGRESS)
		fail("begin to connect");
	close(fd);
}

static void datagram(void)
{
	int fd = connected(SOCK_DGRAM);

	ask(fd);
	close(fd);
}

/* What is no service, and nobody at all: what was kept for the peer before is of no use. */
static void connected_anew(void)
{
	struct sockaddr_in nobody = {.sin_family = AF_INET, .sin_port = htons(9), .sin_addr.s_addr = htonl(0xc6336401)};
	struct sockaddr none = {.sa_family = AF_UNSPEC};
	int fd = connected(SOCK_DGRAM);

	connect_to(fd, any_service());
	ask(fd);
	if (random_below(2) && connect(fd, (void *)&nobody, sizeof(nobody)))
		fail("connect to what is no service");
	if (random_below(2) && connect(fd, &none, sizeof(none)))
		fail("connect to nobody");
	close(fd);
}

static void unconnected(void)
{
	int fd = make(SOCK_DGRAM), sends = 1 + random_below(4);

	for (int i = 0; i < sends; i++) {
		const struct sockaddr_storage *asked = any_service();
		const struct sockaddr_in *named = (const void *)asked;
		struct sockaddr_storage from = {0};
		const struct sockaddr_in *seen = (void *)&from;
		socklen_t length = sizeof(from);
		char byte = BYTE_ASK;

		if (sendto(fd, &byte, 1, 0, (const void *)asked, client.address_length) != 1)
			fail("send to a service");
		if (recvfrom(fd, &byte, 1, 0, (void *)&from, &length) != 1)
			fail("receive from a service");
		errno = 0;
		if (seen->sin_addr.s_addr != named->sin_addr.s_addr || seen->sin_port != named->sin_port)
			fail("the answer comes from another address than the one that was asked");
	}
	close(fd);
}

/* Half are in the middle of something when it happens. */
static void killed(void)
{
	int ready[2], status;
	char byte;

	if (pipe2(ready, O_CLOEXEC))
		fail("make a pipe");
	pid_t child = fork();
	if (child < 0)
		fail("fork");
	if (child == 0) {
		for (int i = 0; i < KILLED_WITH; i++) {
			int fd = connected(random_below(2) ? SOCK_STREAM : SOCK_DGRAM);

			if (random_below(2))
				ask(fd);
			if (i == KILLED_WITH / 2 && write(ready[1], "", 1) != 1)
				_exit(1);
		}
		pause();
	}
	close(ready[1]);
	if (read(ready[0], &byte, 1) != 1)
		fail("a child ended by itself");
	close(ready[0]);
	kill(child, SIGKILL);
	if (waitpid(child, &status, 0) != child || !WIFSIGNALED(status))
		fail("wait for a child that was killed");
	state ^= 0x9e3779b97f4a7c15ull;
}

static struct {
	const char *name;
	void (*run)(void);
	/* Of a hundred. */
	unsigned share;
	/* Sockets each time. */
	unsigned long sockets;
	unsigned long count;
} ways[] = {
    {"closed", closed, 15, 1, 0},
    {"aborted", aborted, 15, 1, 0},
    {"givenUp", given_up, 14, 1, 0},
    {"datagram", datagram, 15, 1, 0},
    {"connectedAnew", connected_anew, 20, 1, 0},
    {"unconnected", unconnected, 20, 1, 0},
    {"killed", killed, 1, KILLED_WITH, 0},
};

int churn_main(int argc, char **argv)
{
	const char *comma = "{";
	long done = 0;

	client_parse(argc, argv, &client);
	errno = 0;
	if (client.address.ss_family != AF_INET || client.other.ss_family != AF_INET)
		fail("churn: two services, by IPv4");
	state = 0x9e3779b97f4a7c15ull ^ client.seed;
	while (done < client.count) {
		unsigned chosen = random_below(100), way = 0;

		while (chosen >= ways[way].share)
			chosen -= ways[way++].share;
		ways[way].run();
		ways[way].count++;
		done += ways[way].sockets;
	}
	for (size_t way = 0; way < sizeof(ways) / sizeof(ways[0]); way++) {
		printf("%s\"%s\":%lu", comma, ways[way].name, ways[way].count);
		comma = ",";
	}
	puts("}");
	return 0;
}
