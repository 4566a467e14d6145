/*
 * Many TCP clients of one target in one process: flows that are kept and asked over again and again, where each answer
 * must be the question byte by byte; and new connections, so many a second, of a byte each way, which the server ends.
 * Prints an empty object when all flows are there, and on each SIGUSR1 how all fared since (crowd-account.c).
 */
#include <arpa/inet.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "crowd.h"

#define EVENTS_MAX 256
/* Flows that are about to be kept at once: the server has a backlog. */
#define JOINING_MAX 64
#define MESSAGE_WORDS 8
#define SECOND_NS 1000000000ull
/* Who is late by less has sent a packet up to five times; how late the slowest was is told. */
#define TIMEOUT_NS (30 * SECOND_NS)
/* New ones that could not begin in time are begun late, but not all at once. */
#define BURST_MAX 64

enum state { CONNECTING, GREETING, WAITING, LEAVING, RESTING, STATES };

struct member {
	struct member *previous, *next;
	enum kind kind;
	enum state state;
	int fd;
	char token;
	/* Since when it is at what it is at. */
	uint64_t since_ns;
	uint32_t number, sequence;
	unsigned window;
	size_t received;
	uint32_t answer[MESSAGE_WORDS];
};

/* Each state has a list, the oldest first: all of a state have the same time for it. */
static struct member lists[STATES];
static struct client target;
static struct member *unused;
static uint32_t number;
static long kept_begun, joining;
static int epoll;
static volatile sig_atomic_t is_asked;

static void on_signal(int signal)
{
	(void)signal;
	is_asked = 1;
}

static void take_out(struct member *member)
{
	member->previous->next = member->next;
	member->next->previous = member->previous;
}

static void enter(struct member *member, enum state state)
{
	struct member *list = &lists[state];

	member->state = state;
	member->since_ns = now_ns();
	member->previous = list->previous;
	member->next = list;
	list->previous->next = member;
	list->previous = member;
}

static void move(struct member *member, enum state state)
{
	take_out(member);
	enter(member, state);
}

static void leave(struct member *member)
{
	joining -= member->kind == KEPT && member->state < WAITING && !member->sequence;
	take_out(member);
	close(member->fd);
	member->next = unused;
	unused = member;
}

static void give_up(struct member *member, enum failure failure)
{
	static const char *const steps[STATES] = {"connect", "greeting", "answer", "end", "rest"};

	account_failure(member->kind, failure, member->token, steps[member->state], now_ns() - member->since_ns);
	leave(member);
}

/* In turn the addresses from the first on; the port is chosen at connect(), and may be another's of another address. */
static void bind_source(const struct member *member)
{
	struct sockaddr_in source = *(const struct sockaddr_in *)&target.source;
	int yes = 1;

	source.sin_addr.s_addr = htonl(ntohl(source.sin_addr.s_addr) + member->number % target.sources);
	setsockopt(member->fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof(yes));
	if (bind(member->fd, (void *)&source, sizeof(source)))
		fail("bind to source %u", member->number % (unsigned)target.sources);
}

static void join(enum kind kind)
{
	struct member *member = unused ? unused : malloc(sizeof(*member));
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = member};

	if (!member)
		fail("take memory for a connection");
	if (member == unused)
		unused = member->next;
	*member = (struct member){.kind = kind, .number = number++};
	joining += kind == KEPT;
	if (kind == NEW)
		member->window = account_begun();
	member->fd = socket(target.address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (member->fd < 0)
		fail("make a socket");
	enter(member, CONNECTING);
	if (target.sources)
		bind_source(member);
	if (connect(member->fd, (void *)&target.address, target.address_length) && errno != EINPROGRESS)
		return give_up(member, failure_of(errno));
	if (epoll_ctl(epoll, EPOLL_CTL_ADD, member->fd, &event))
		fail("watch a connection");
}

static uint32_t word(const struct member *member, int index)
{
	return member->number * 2654435761u + member->sequence * MESSAGE_WORDS + index;
}

static void ask(struct member *member)
{
	uint32_t question[MESSAGE_WORDS];

	member->sequence++;
	member->received = 0;
	for (int i = 0; i < MESSAGE_WORDS; i++)
		question[i] = word(member, i);
	move(member, WAITING);
	if (send(member->fd, question, sizeof(question), MSG_NOSIGNAL) != sizeof(question))
		give_up(member, failure_of(errno));
}

static void on_connected(struct member *member)
{
	struct epoll_event event = {.events = EPOLLIN, .data.ptr = member};
	char first = member->kind == KEPT ? BYTE_KEEP : BYTE_ASK;
	int error = 0;
	socklen_t size = sizeof(error);

	getsockopt(member->fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return give_up(member, failure_of(error));
	if (member->kind == NEW)
		account_connected(now_ns() - member->since_ns);
	move(member, GREETING);
	if (epoll_ctl(epoll, EPOLL_CTL_MOD, member->fd, &event))
		fail("watch a connection");
	if (send(member->fd, &first, 1, MSG_NOSIGNAL) != 1)
		give_up(member, failure_of(errno));
}

static void on_token(struct member *member, char token)
{
	if (member->kind == NEW) {
		account_made(token, member->window);
		return move(member, LEAVING);
	}
	member->token = token;
	joining--;
	account_kept(token);
	ask(member);
}

static void on_answer(struct member *member)
{
	for (int i = 0; i < MESSAGE_WORDS; i++)
		if (member->answer[i] != word(member, i))
			return give_up(member, WRONG_ANSWER);
	account_answered(now_ns() - member->since_ns);
	if (target.interval_us)
		move(member, RESTING);
	else
		ask(member);
}

static void on_input(struct member *member)
{
	char *room = (char *)member->answer + member->received;
	size_t wanted = member->state == WAITING ? sizeof(member->answer) - member->received : 1;
	ssize_t got = recv(member->fd, room, wanted, 0);

	if (got < 0 && errno == EAGAIN)
		return;
	/* Who closes first keeps the port for a minute: that is the server. */
	if (got == 0 && member->state == LEAVING)
		return leave(member);
	if (got <= 0)
		return give_up(member, failure_of(got ? errno : 0));
	if (member->state == GREETING)
		return on_token(member, *room);
	if (member->state == RESTING || member->state == LEAVING)
		return give_up(member, WRONG_ANSWER);
	member->received += got;
	if (member->received == sizeof(member->answer))
		on_answer(member);
}

static void sweep(uint64_t now)
{
	for (enum state state = CONNECTING; state <= LEAVING; state++)
		while (lists[state].next != &lists[state] && now - lists[state].next->since_ns > TIMEOUT_NS)
			give_up(lists[state].next, TIMEOUT);
	while (lists[RESTING].next != &lists[RESTING] &&
	       now - lists[RESTING].next->since_ns > (uint64_t)target.interval_us * 1000)
		ask(lists[RESTING].next);
}

static void take_events(uint64_t wait_ns)
{
	struct timespec wait = {.tv_nsec = wait_ns};
	struct epoll_event events[EVENTS_MAX];
	int count = epoll_pwait2(epoll, events, EVENTS_MAX, &wait, NULL);

	for (int i = 0; i < count; i++) {
		struct member *member = events[i].data.ptr;

		if (member->state == CONNECTING)
			on_connected(member);
		else
			on_input(member);
	}
}

int crowd_main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_signal};
	uint64_t interval_ns, next_ns = 0;
	int is_ready = 0;

	client_parse(argc, argv, &target);
	account_target(argv[1]);
	sigaction(SIGUSR1, &action, NULL);
	allow_files();
	for (int state = 0; state < STATES; state++)
		lists[state].previous = lists[state].next = &lists[state];
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (epoll < 0)
		fail("make an epoll");
	interval_ns = target.rate ? SECOND_NS / target.rate : 0;
	for (;;) {
		uint64_t now = now_ns();

		for (; kept_begun < target.kept && joining < JOINING_MAX; kept_begun++)
			join(KEPT);
		if (!is_ready && kept_begun == target.kept && !joining) {
			is_ready = 1;
			next_ns = now;
			puts("{}");
			fflush(stdout);
		}
		for (int i = 0; is_ready && interval_ns && next_ns <= now && i < BURST_MAX; i++, next_ns += interval_ns)
			join(NEW);
		take_events(interval_ns && interval_ns < 1000000 ? interval_ns / 2 : 1000000);
		sweep(now_ns());
		if (is_asked) {
			is_asked = 0;
			account_print();
		}
	}
}
