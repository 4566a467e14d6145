/*
 * A server of all its clients at once, where `serve` has one after the other: who asks gets TOKEN and the end, who
 * keeps his connection (BYTE_KEEP) gets TOKEN and then everything back that he says. Prints "ready" when it listens.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>
#include "load.h"

#define EVENTS_MAX 256

enum state { FRESH, KEPT };

/* By descriptor. */
static uint8_t *states;
static int epoll;

static void watch(int fd)
{
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};

	if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event))
		fail("watch a connection");
}

static void accept_all(int listener)
{
	for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;) {
		states[fd] = FRESH;
		watch(fd);
	}
	/* A client that has gone before it was accepted is no error of ours. */
	if (errno != EAGAIN && errno != ECONNABORTED)
		fail("accept a connection");
}

/* Clients have one question under way, which is smaller than any buffer. */
static int answer(int fd, char token)
{
	char words[4096];
	ssize_t got = recv(fd, words, sizeof(words), 0);

	if (got <= 0)
		return got < 0 && errno == EAGAIN;
	if (states[fd] == KEPT)
		return send(fd, words, got, MSG_NOSIGNAL) == got;
	if (send(fd, &token, 1, MSG_NOSIGNAL) != 1 || words[0] != BYTE_KEEP)
		return 0;
	states[fd] = KEPT;
	return 1;
}

int serve_many_main(int argc, char **argv)
{
	struct epoll_event events[EVENTS_MAX];

	errno = 0;
	if (argc < 3 || strlen(argv[2]) != 1)
		fail("serve-many: PORT and a TOKEN of one character are missing");
	long port = number_of("PORT", argv[1], 1, 65535);
	if (argc > 4 && !strcmp(argv[3], "--cpu"))
		pin_to(argv[4]);
	states = calloc(allow_files(), 1);
	epoll = epoll_create1(EPOLL_CLOEXEC);
	if (!states || epoll < 0)
		fail("make an epoll");
	int listener = listen_at(SOCK_STREAM, port), datagrams = listen_at(SOCK_DGRAM, port);
	watch(listener);
	watch(datagrams);
	puts("ready");
	fflush(stdout);
	for (;;) {
		int count = epoll_wait(epoll, events, EVENTS_MAX, -1);

		for (int i = 0; i < count; i++) {
			int fd = events[i].data.fd;

			if (fd == listener)
				accept_all(fd);
			else if (fd == datagrams)
				answer_datagrams(fd, *argv[2]);
			else if (!answer(fd, *argv[2]))
				close(fd);
		}
	}
}
