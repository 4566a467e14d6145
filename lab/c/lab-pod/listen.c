/*
 * Says what arrives at a UDP port in some time, to answer nobody:
 *   heard from=10.244.1.7:40000 length=64
 *   heard 1 datagrams
 */
#include <poll.h>
#include <stdio.h>
#include "pod.h"

int listen_main(int argc, char **argv)
{
	char text[ADDRESS_TEXT], data[65536];
	int heard = 0;

	if (argc != 3) {
		fprintf(stderr, "usage: listen PORT MS\n");
		return STATUS_USAGE;
	}
	int fd = server_socket(SOCK_DGRAM, number_option("PORT", argv[1], 1, 65535));
	uint64_t end_us = now_us() + number_option("MS", argv[2], 1, 3600000) * 1000;

	for (uint64_t now; (now = now_us()) < end_us;) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};
		address_t from;
		socklen_t length = sizeof(from);

		if (poll(&polled, 1, (end_us - now) / 1000 + 1) != 1)
			continue;
		ssize_t got = recvfrom(fd, data, sizeof(data), 0, (void *)&from, &length);
		if (got < 0)
			continue;
		printf("heard from=%s length=%zd\n", address_text(&from, text), got);
		heard++;
	}
	printf("heard %d datagrams\n", heard);
	return 0;
}
