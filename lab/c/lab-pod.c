/*
 * The lab's images: one static program with a sub-command each, so that a pod is a process of a few hundred kilobytes
 * that starts in a millisecond. Also there under the names of its sub-commands, when started by a link of that name.
 */
#include <stdio.h>
#include <string.h>
#include "lab-pod/pod.h"

static const struct {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *summary;
} commands[] = {
    {"echo", echo_main, "TCP, UDP and HTTP server that reports whom it saw"},
    {"client", client_main, "ask an echo server, once, often or over one long connection"},
    {"dns", dns_main, "serve a zone file"},
    {"resolve", resolve_main, "look a name up by /etc/resolv.conf"},
    {"probe", probe_main, "answer readiness probes asked on standard input (for the lab's kubelet)"},
    {"crowd", crowd_main, "many clients of one server: some that stay, and new ones all the time"},
    {"ping", ping_main, "ICMP echo of any length and hop limit, and the errors that come instead"},
    {"datagram", datagram_main, "a UDP datagram as raw packets, whole or in fragments"},
    {"listen", listen_main, "say what arrives at a UDP port"},
    {"ownstack", ownstack_main, "run a command on a network stack of its own inside the pod"},
    {"pause", pause_main, "do nothing until told to end"},
};

static int find_and_run(const char *name, int argc, char **argv)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (!strcmp(commands[i].name, name))
			return commands[i].run(argc, argv);
	return -1;
}

int main(int argc, char **argv)
{
	const char *slash = strrchr(argv[0], '/');
	int status = find_and_run(slash ? slash + 1 : argv[0], argc, argv);

	if (status < 0 && argc > 1)
		status = find_and_run(argv[1], argc - 1, argv + 1);
	if (status >= 0)
		return status;
	fprintf(stderr, "usage: lab-pod COMMAND [ARGUMENT ...], or COMMAND --help\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		fprintf(stderr, "  %-8s %s\n", commands[i].name, commands[i].summary);
	return 2;
}
