/*
 * Many TCP clients of one server in one process: some that keep their connection and ask over it again and again, and
 * new ones that come all the time. Ended by SIGINT or SIGTERM it says how all of them fared, as before it each failure:
 *   failed kept after 2000.10 ms: answer: Connection timed out
 *   new begun=81234567890 answered=81234568150 host=web-1 ...     (with --tell; microseconds of CLOCK_MONOTONIC)
 *   kept=1000 asked=5000 failed=0 new=3000 failed=0
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>
#include "pod.h"

#define MEMBERS_MAX 16384
#define EVENTS_MAX 256
#define FAILURES_SHOWN 20
#define TICK_MS 2
/* How often deadlines are looked at. */
#define SWEEP_US 50000

static const char usage[] = "usage: crowd ADDRESS PORT [OPTION ...]\n"
			    "  --kept N        connections that stay (default 0)\n"
			    "  --interval MS   between two questions over one of them (default 1000)\n"
			    "  --rate N        new connections a second, of one question each (default 0)\n"
			    "  --timeout MS    for connecting, and for each answer (default 2000)\n"
			    "  --tell          a line for each new connection: when it began, and the answer\n";

enum state { FREE, CONNECTING, WAITING, RESTING };

struct member {
	int fd;
	enum state state;
	int is_kept;
	/* When it began what it is at; of RESTING when it is over. */
	uint64_t time_us;
	uint64_t begun_us;
};

static struct {
	address_t target;
	long kept, interval_ms, rate, timeout_ms;
	int tell;
} options = {.interval_ms = 1000, .timeout_ms = 2000};

static struct member members[MEMBERS_MAX];
static unsigned long asked, kept_failed, begun, new_failed;
static int epoll;
static volatile sig_atomic_t ending;

static void on_end(int signal)
{
	(void)signal;
	ending = 1;
}

static void leave(struct member *member)
{
	if (member->fd >= 0)
		close(member->fd);
	member->state = FREE;
}

static void give_up(struct member *member, const char *step, int error)
{
	unsigned long *failed = member->is_kept ? &kept_failed : &new_failed;

	if (++*failed <= FAILURES_SHOWN)
		printf("failed %s after %.2f ms: %s: %s\n", member->is_kept ? "kept" : "new",
		       (now_us() - member->time_us) / 1000.0, step, error ? strerror(error) : "the peer closed it");
	fflush(stdout);
	leave(member);
}

static void watch(struct member *member, int operation, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = member};

	if (epoll_ctl(epoll, operation, member->fd, &event))
		fail("watch a connection");
}

static void join(int is_kept)
{
	struct member *member = members;

	while (member < members + MEMBERS_MAX && member->state != FREE)
		member++;
	if (member == members + MEMBERS_MAX)
		fail("more than %d connections at once", MEMBERS_MAX);
	*member = (struct member){.state = CONNECTING, .is_kept = is_kept, .time_us = now_us()};
	member->begun_us = member->time_us;
	begun += !is_kept;
	member->fd = socket(options.target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (member->fd < 0)
		return give_up(member, "socket", errno);
	if (connect(member->fd, (void *)&options.target, address_length(&options.target)) && errno != EINPROGRESS)
		return give_up(member, "connect", errno);
	watch(member, EPOLL_CTL_ADD, EPOLLOUT);
}

static void ask(struct member *member)
{
	member->time_us = now_us();
	member->state = WAITING;
	asked += member->is_kept;
	if (send(member->fd, "crowd\n", 6, MSG_NOSIGNAL) != 6)
		give_up(member, "send", errno);
}

static void on_connected(struct member *member)
{
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(member->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return give_up(member, "connect", error);
	watch(member, EPOLL_CTL_MOD, EPOLLIN);
	ask(member);
}

static void on_input(struct member *member)
{
	char answer[4096];
	ssize_t length = recv(member->fd, answer, sizeof(answer), 0);

	if (length < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (length <= 0)
		return give_up(member, member->state == WAITING ? "answer" : "rest", length ? errno : 0);
	if (member->state != WAITING || answer[length - 1] != '\n')
		return;
	if (!member->is_kept) {
		if (options.tell)
			printf("new begun=%lu answered=%lu %.*s", (unsigned long)member->begun_us,
			       (unsigned long)now_us(), (int)length, answer);
		return leave(member);
	}
	member->state = RESTING;
	member->time_us = now_us() + options.interval_ms * 1000;
}

/* Who waits too long, and who has rested. */
static void sweep(void)
{
	uint64_t now = now_us();

	for (struct member *member = members; member < members + MEMBERS_MAX; member++) {
		if (member->state == RESTING && now >= member->time_us)
			ask(member);
		else if ((member->state == CONNECTING || member->state == WAITING) &&
			 now - member->time_us > (uint64_t)options.timeout_ms * 1000)
			give_up(member, member->state == CONNECTING ? "connect" : "answer", ETIMEDOUT);
	}
}

static void take_events(void)
{
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_wait(epoll, events, EVENTS_MAX, TICK_MS);

	for (int i = 0; i < count; i++) {
		struct member *member = events[i].data.ptr;

		if (member->state == CONNECTING)
			on_connected(member);
		else if (member->state != FREE)
			on_input(member);
	}
}

static void parse(int argc, char **argv)
{
	if (argc < 3 || !address_parse(argv[1], number_option("PORT", argv[2], 1, 65535), &options.target)) {
		fputs(usage, stderr);
		exit(STATUS_USAGE);
	}
	for (int i = 3; i < argc; i++) {
		const char *option = argv[i], *value;

		if (!strcmp(option, "--tell")) {
			options.tell = 1;
			continue;
		}
		value = i + 1 < argc ? argv[++i] : NULL;
		if (!strcmp(option, "--kept"))
			options.kept = number_option(option, value, 0, MEMBERS_MAX / 2);
		else if (!strcmp(option, "--interval"))
			options.interval_ms = number_option(option, value, 1, 3600000);
		else if (!strcmp(option, "--rate"))
			options.rate = number_option(option, value, 0, 100000);
		else if (!strcmp(option, "--timeout"))
			options.timeout_ms = number_option(option, value, 1, 3600000);
		else {
			fprintf(stderr, "lab-pod: unknown option: %s\n%s", option, usage);
			exit(STATUS_USAGE);
		}
	}
}

static void allow_files(void)
{
	struct rlimit limit;

	getrlimit(RLIMIT_NOFILE, &limit);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
}

int crowd_main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_end};
	uint64_t started = now_us(), swept = 0;
	long joined = 0;

	parse(argc, argv);
	allow_files();
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fail("make an epoll");
	while (!ending) {
		uint64_t now = now_us();

		/* Not all at once: the server has a backlog. */
		for (int i = 0; i < 8 && joined < options.kept; i++, joined++)
			join(1);
		while (begun < (now - started) * options.rate / 1000000)
			join(0);
		take_events();
		if (now_us() - swept > SWEEP_US) {
			sweep();
			swept = now_us();
		}
	}
	printf("kept=%ld asked=%lu failed=%lu new=%lu failed=%lu\n", joined, asked, kept_failed, begun, new_failed);
	return kept_failed + new_failed ? STATUS_FAILED : 0;
}
