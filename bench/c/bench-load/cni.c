/*
 * Calls a CNI plugin as a container runtime does: facts by environment, configuration on standard input, answer from
 * standard output. It runs in the node's network namespace. A line a call:
 *   {"netns":"/run/a","ns":4200000,"status":0,"answer":{...}}
 * With --parallel all are started at once, and a last line has the time until all were done: {"wholeNs":900000000}
 * With --kill-after-us the plugin is killed so long after its start.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include "load.h"

#define CALLS_MAX 1024

struct call {
	const char *netns;
	pid_t pid;
	int answer; /* a file in memory */
	uint64_t began;
};

static const char *command, *plugin, *config, *prefix;

static void start(struct call *call, int index)
{
	char words[5][512];
	char *environment[] = {words[0], words[1], words[2], words[3], words[4], "PATH=/usr/sbin:/usr/bin:/sbin:/bin",
			       NULL};
	char *arguments[] = {(char *)plugin, NULL};
	posix_spawn_file_actions_t actions;
	const char *slash = strrchr(plugin, '/');

	snprintf(words[0], sizeof(words[0]), "CNI_COMMAND=%s", command);
	snprintf(words[1], sizeof(words[1]), "CNI_CONTAINERID=%s%d", prefix, index);
	snprintf(words[2], sizeof(words[2]), "CNI_NETNS=%s", call->netns);
	snprintf(words[3], sizeof(words[3]), "CNI_IFNAME=eth0");
	snprintf(words[4], sizeof(words[4]), "CNI_PATH=%.*s", slash ? (int)(slash - plugin) : 1, slash ? plugin : ".");
	call->answer = memfd_create("answer", MFD_CLOEXEC);
	if (call->answer < 0)
		fail("make a file for the answer");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, 0, config, O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, call->answer, 1);
	call->began = now_ns();
	errno = posix_spawn(&call->pid, plugin, &actions, NULL, arguments, environment);
	if (errno)
		fail("start %s", plugin);
	posix_spawn_file_actions_destroy(&actions);
}

/* JSON may hold line ends between its values, and our lines may not. */
static void print_answer(int fd)
{
	char answer[16384];
	ssize_t length = pread(fd, answer, sizeof(answer), 0);

	for (ssize_t i = 0; i < length; i++)
		answer[i] = answer[i] == '\n' || answer[i] == '\r' || answer[i] == '\t' ? ' ' : answer[i];
	if (length > 0)
		fwrite(answer, 1, length, stdout);
	else
		fputs("null", stdout);
}

static void finish(struct call *call, int status)
{
	uint64_t took = now_ns() - call->began;

	printf("{\"netns\":\"%s\",\"ns\":%lu,\"status\":%d,\"answer\":", call->netns, took,
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
	print_answer(call->answer);
	puts("}");
	close(call->answer);
}

static void run_one(struct call *call, int index, long kill_after_us)
{
	int status;

	start(call, index);
	if (kill_after_us) {
		usleep(kill_after_us);
		kill(call->pid, SIGKILL);
	}
	if (waitpid(call->pid, &status, 0) != call->pid)
		fail("wait for %s", plugin);
	finish(call, status);
}

static void run_parallel(struct call *calls, int count)
{
	uint64_t began = now_ns();
	int status;

	for (int i = 0; i < count; i++)
		start(&calls[i], i);
	for (int left = count; left > 0; left--) {
		pid_t ended = wait(&status);

		if (ended < 0)
			fail("wait for %s", plugin);
		for (int i = 0; i < count; i++)
			if (calls[i].pid == ended)
				finish(&calls[i], status);
	}
	printf("{\"wholeNs\":%lu}\n", now_ns() - began);
}

int cni_main(int argc, char **argv)
{
	static struct call calls[CALLS_MAX];
	int is_parallel = 0, count = 0;
	long kill_after_us = 0;

	errno = 0;
	if (argc < 6)
		fail("cni: ADD|DEL PLUGIN CONFIG PREFIX NETNS... are missing");
	command = argv[1], plugin = argv[2], config = argv[3], prefix = argv[4];
	for (int i = 5; i < argc; i++) {
		if (!strcmp(argv[i], "--parallel"))
			is_parallel = 1;
		else if (!strcmp(argv[i], "--kill-after-us"))
			kill_after_us = number_of(argv[i], argv[i + 1], 1, 10000000), i++;
		else if (count < CALLS_MAX)
			calls[count++].netns = argv[i];
		else
			fail("cni: more than %d namespaces", CALLS_MAX);
	}
	if (is_parallel)
		run_parallel(calls, count);
	for (int i = 0; !is_parallel && i < count; i++)
		run_one(&calls[i], i, kill_after_us);
	return 0;
}
