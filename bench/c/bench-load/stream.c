/* One TCP stream in one direction for some time; the server says how much has arrived, and that must be all of it. */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>
#include "load.h"

int stream_main(int argc, char **argv)
{
	static char block[128 << 10] = {BYTE_STREAM};
	struct client client;
	uint64_t sent = 0, arrived = 0;

	client_parse(argc, argv, &client);
	int fd = socket(client.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (void *)&client.address, client.address_length))
		fail("connect");
	uint64_t began = now_ns(), end = began + client.milliseconds * 1000000ull;
	while (now_ns() < end) {
		ssize_t wrote = send(fd, block, sizeof(block), MSG_NOSIGNAL);

		if (wrote < 0)
			fail("send");
		sent += wrote;
	}
	shutdown(fd, SHUT_WR);
	if (recv(fd, &arrived, sizeof(arrived), MSG_WAITALL) != sizeof(arrived))
		fail("receive the count of what arrived");
	uint64_t took = now_ns() - began;
	errno = 0;
	if (arrived != sent)
		fail("%lu bytes were sent, %lu have arrived", sent, arrived);
	printf("{\"bytes\":%lu,\"gigabitsPerSecond\":%.3f}\n", sent, sent * 8.0 / took);
	return 0;
}
