/*
 * What the benchmark measures with: one static program with a sub-command each. Results are one line of JSON on
 * standard output, times in nanoseconds of CLOCK_MONOTONIC. Any wrong answer ends it with a message: no figure of a
 * broken path.
 */
#include <stdio.h>
#include <string.h>
#include "bench-load/load.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
    {"serve", serve_main, "PORT TOKEN [--cpu N]: answer each byte with TOKEN, over TCP and UDP; swallow streams"},
    {"connect", connect_main, "ADDRESS PORT --count N [--cpu N]: TCP connect, a byte each way, close by reset"},
    {"udp", udp_main, "ADDRESS PORT --count N [--cpu N]: UDP connect of fresh sockets"},
    {"serve-many", serve_many_main, "PORT TOKEN [--cpu N]: the same for all clients at once; echo for who stays"},
    {"stream", stream_main, "ADDRESS PORT --milliseconds N [--cpu N]: one TCP stream"},
    {"watch", watch_main, "ADDRESS PORT --interval-us N [--cpu N]: say when another token answers"},
    {"crowd", crowd_main, "ADDRESS PORT --kept N --interval-us I --rate R [--cpu N]: many that stay, and new ones"},
    {"flood", flood_main, "ADDRESS PORT --count N [--rate R] [--seed S] [--cpu N]: SYNs from nobody"},
    {"churn", churn_main,
     "ADDRESS PORT --other ADDRESS --count N [--seed S] [--cpu N]: sockets come and go, in all ways"},
    {"live", live_main, "ADDRESS PORT --other ADDRESS --kept N: sockets that stay, and whether they know their peers"},
    {"cni", cni_main, "ADD|DEL PLUGIN CONFIG PREFIX [--parallel] [--kill-after-us N] NETNS...: as a runtime calls it"},
    {"ports", ports_main, "ADDRESS PORT --count N [--first-port N] [--source ADDRESS]: UDP from so many ports"},
    {"frames", frames_main, "PIN --count N [--length N] [--cpu N]: XDP program on live frames"},
};

int main(int argc, char **argv)
{
	for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, argv[1]))
			return commands[i].run(argc - 1, argv + 1);
	fprintf(stderr, "usage: bench-load COMMAND ARGUMENT ...\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-10s %s\n", commands[i].name, commands[i].summary);
	return 2;
}
