/*
 * Short connections, one after the other. Prints the rate of whole exchanges, quantiles of connect() alone and of the
 * exchange, and how often each token answered: {"count":8000,"rate":10000.0,"connectP50Ns":...,"answers":{"A":8000}}
 */
#include <stdio.h>
#include <stdlib.h>
#include "load.h"

int connect_main(int argc, char **argv)
{
	struct client client;
	unsigned long answers[256] = {0};
	const char *comma = "";

	client_parse(argc, argv, &client);
	uint64_t *connects = calloc(client.count, sizeof(*connects));
	uint64_t *wholes = calloc(client.count, sizeof(*wholes));
	if (!connects || !wholes)
		fail("take memory for %ld times", client.count);
	/* Paths, neighbours and caches are warm from here on. */
	for (int i = 0; i < 50; i++)
		exchange(&client, &connects[0], &wholes[0]);
	uint64_t began = now_ns(), last = began;
	for (long i = 0; i < client.count; i++) {
		uint64_t connected;

		answers[exchange(&client, &connects[i], &connected)]++;
		uint64_t now = now_ns();
		wholes[i] = now - last;
		last = now;
	}
	printf("{\"count\":%ld,\"rate\":%.1f,\"connectP50Ns\":%lu,\"connectP99Ns\":%lu,\"exchangeP50Ns\":%lu,"
	       "\"exchangeP99Ns\":%lu,\"answers\":{",
	       client.count, client.count * 1e9 / (last - began), quantile_ns(connects, client.count, 0.5),
	       quantile_ns(connects, client.count, 0.99), quantile_ns(wholes, client.count, 0.5),
	       quantile_ns(wholes, client.count, 0.99));
	for (int token = 0; token < 256; token++)
		if (answers[token]) {
			printf("%s\"%c\":%lu", comma, token, answers[token]);
			comma = ",";
		}
	puts("}}");
	return 0;
}
