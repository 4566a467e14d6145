/*
 * Asks again and again, and prints a line whenever another token answers than before, with the time at which that
 * connection was made: {"token":"B","connectedNs":123456789}. A connection that fails is an error, also in a change.
 */
#include <stdio.h>
#include <unistd.h>
#include "load.h"

int watch_main(int argc, char **argv)
{
	struct client client;
	uint64_t took, connected;
	int before = -1;

	client_parse(argc, argv, &client);
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (;;) {
		int token = exchange(&client, &took, &connected);

		if (token != before)
			printf("{\"token\":\"%c\",\"connectedNs\":%lu}\n", token, connected);
		before = token;
		usleep(client.interval_us);
	}
}
