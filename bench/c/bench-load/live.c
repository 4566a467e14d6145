/*
 * Many sockets that stay: one in eight TCP, the others UDP, in turn to the two services. Prints a line when all are
 * connected, and on each SIGUSR1: how many there are, and how many getpeername() has a wrong answer for:
 * {"live":50000,"wrong":0}
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

/* A server has a descriptor for each of these, and no more than a process may have. */
#define TCP_ONE_IN 8

static void on_signal(int signal)
{
	(void)signal;
}

static const struct sockaddr_storage *named(const struct client *client, long index)
{
	return index / TCP_ONE_IN % 2 ? &client->other : &client->address;
}

static void tell(const struct client *client, const int *fds)
{
	long wrong = 0;

	for (long i = 0; i < client->kept; i++)
		wrong += !peer_is(fds[i], named(client, i));
	printf("{\"live\":%ld,\"wrong\":%ld}\n", client->kept, wrong);
	fflush(stdout);
}

int live_main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	struct client client;

	client_parse(argc, argv, &client);
	allow_files();
	sigaction(SIGUSR1, &action, NULL);
	int *fds = calloc(client.kept + 1, sizeof(*fds));
	if (!fds)
		fail("take memory for %ld sockets", client.kept);
	for (long i = 0; i < client.kept; i++) {
		fds[i] =
		    socket(client.address.ss_family, (i % TCP_ONE_IN ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);
		if (fds[i] < 0)
			fail("make socket %ld", i);
		if (connect(fds[i], (const void *)named(&client, i), client.address_length))
			fail("connect socket %ld", i);
	}
	for (;;) {
		tell(&client, fds);
		pause();
	}
}
