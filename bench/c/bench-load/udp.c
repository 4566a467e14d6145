/*
 * What connect() of a UDP socket costs: batches of fresh sockets, so that what a hook keeps in a socket is made anew
 * each time, then each of them again. Of each batch one socket must get an answer, and must see the peer that it named.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include "load.h"

#define BATCH 256

static void connect_all(const int *fds, const struct client *client)
{
	for (int i = 0; i < BATCH; i++)
		if (connect(fds[i], (const void *)&client->address, client->address_length))
			fail("connect");
}

static int ask(int fd)
{
	struct timeval timeout = {.tv_sec = 2};
	char byte = BYTE_ASK;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
	if (send(fd, &byte, 1, 0) != 1)
		fail("send a datagram");
	if (recv(fd, &byte, 1, 0) != 1)
		fail("receive a datagram");
	return (unsigned char)byte;
}

int udp_main(int argc, char **argv)
{
	struct client client;
	int fds[BATCH], token = 0;

	client_parse(argc, argv, &client);
	long batches = (client.count + BATCH - 1) / BATCH;
	uint64_t *connects = calloc(batches, sizeof(*connects));
	uint64_t *agains = calloc(batches, sizeof(*agains));
	uint64_t *wholes = calloc(batches, sizeof(*wholes));
	if (!connects || !agains || !wholes)
		fail("take memory for %ld times", batches);
	for (long batch = 0; batch < batches; batch++) {
		uint64_t began = now_ns();

		for (int i = 0; i < BATCH; i++)
			if ((fds[i] = socket(client.address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0)) < 0)
				fail("make a socket");
		uint64_t opened = now_ns();
		connect_all(fds, &client);
		uint64_t connected = now_ns();
		connect_all(fds, &client);
		uint64_t again = now_ns();
		token = ask(fds[batch % BATCH]);
		check_peer(fds[batch % BATCH], &client);
		uint64_t asked = now_ns();
		for (int i = 0; i < BATCH; i++)
			close(fds[i]);
		connects[batch] = (connected - opened) / BATCH;
		agains[batch] = (again - connected) / BATCH;
		wholes[batch] = (now_ns() - asked + connected - began) / BATCH;
	}
	printf("{\"count\":%ld,\"connectNs\":%lu,\"connectAgainNs\":%lu,\"socketConnectCloseNs\":%lu,\"answers\":{\"%"
	       "c\":%ld}}\n",
	       batches * BATCH, quantile_ns(connects, batches, 0.5), quantile_ns(agains, batches, 0.5),
	       quantile_ns(wholes, batches, 0.5), token, batches);
	return 0;
}
