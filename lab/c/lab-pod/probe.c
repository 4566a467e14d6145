/*
 * Readiness probes for the lab's kubelet, asked from the node's network namespace as a real kubelet does. A line in:
 *   ID tcp|http ADDRESS PORT TIMEOUT_MS [PATH]
 * a line out: `ID ok`, or `ID failed REASON`.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "pod.h"

#define PROBES_MAX 512
#define ID_MAX 256
#define LINE_MAX_BYTES 2048

struct probe {
	char id[ID_MAX];
	char path[512];
	char host[64];
	int is_http, was_sent;
	uint64_t deadline_us;
};

static struct pollfd polled[1 + PROBES_MAX];
static struct probe probes[1 + PROBES_MAX];
static int count = 1; /* index 0 is standard input */

static void answer(const char *id, const char *reason)
{
	printf(reason ? "%s failed %s\n" : "%s ok\n", id, reason);
	fflush(stdout);
}

static void finish(int index, const char *reason)
{
	answer(probes[index].id, reason);
	close(polled[index].fd);
	count--;
	polled[index] = polled[count];
	probes[index] = probes[count];
}

static void start(const char *line)
{
	struct probe probe = {.path = "/"};
	char protocol[8];
	address_t target;
	unsigned port;
	long timeout_ms;

	if (sscanf(line, "%255s %7s %63s %u %ld %511s", probe.id, protocol, probe.host, &port, &timeout_ms,
		   probe.path) < 5)
		return answer(line, "malformed question");
	if (!address_parse(probe.host, port, &target))
		return answer(probe.id, "malformed address");
	if (count == 1 + PROBES_MAX)
		return answer(probe.id, "too many probes at once");
	int fd = socket(target.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return answer(probe.id, strerror(errno));
	probe.is_http = !strcmp(protocol, "http");
	probe.deadline_us = now_us() + timeout_ms * 1000;
	polled[count] = (struct pollfd){.fd = fd, .events = POLLOUT};
	probes[count++] = probe;
	if (connect(fd, (void *)&target, address_length(&target)) && errno != EINPROGRESS)
		finish(count - 1, strerror(errno));
}

static void go_on(int index)
{
	struct probe *probe = &probes[index];
	char text[1024];
	int error = 0, status;
	socklen_t size = sizeof(error);

	getsockopt(polled[index].fd, SOL_SOCKET, SO_ERROR, &error, &size);
	if (error)
		return finish(index, strerror(error));
	if (!probe->is_http)
		return finish(index, NULL);
	if (!probe->was_sent) {
		int length = snprintf(text, sizeof(text), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
				      probe->path, probe->host);

		probe->was_sent = 1;
		polled[index].events = POLLIN;
		if (send(polled[index].fd, text, length, MSG_NOSIGNAL) != length)
			finish(index, strerror(errno));
		return;
	}
	ssize_t got = recv(polled[index].fd, text, sizeof(text) - 1, 0);
	text[got > 0 ? got : 0] = '\0';
	if (sscanf(text, "HTTP/1.%*c %d", &status) != 1)
		return finish(index, "no HTTP answer");
	snprintf(text, sizeof(text), "HTTP status %d", status);
	finish(index, status >= 200 && status < 400 ? NULL : text);
}

/* Whether standard input goes on. */
static int read_questions(void)
{
	static char buffer[LINE_MAX_BYTES];
	static size_t length;
	ssize_t got = read(0, buffer + length, sizeof(buffer) - 1 - length);
	char *end;

	if (got <= 0)
		return got < 0 && errno == EINTR;
	length += got;
	buffer[length] = '\0';
	while ((end = strchr(buffer, '\n'))) {
		*end = '\0';
		start(buffer);
		length -= end + 1 - buffer;
		memmove(buffer, end + 1, length + 1);
	}
	return length < sizeof(buffer) - 1;
}

int probe_main(int argc, char **argv)
{
	(void)argc;
	(void)argv;
	polled[0] = (struct pollfd){.fd = 0, .events = POLLIN};
	for (;;) {
		uint64_t now = now_us(), next_us = 0;

		for (int i = count - 1; i > 0; i--) {
			if (probes[i].deadline_us <= now)
				finish(i, "timed out");
		}
		for (int i = 1; i < count; i++) {
			if (!next_us || probes[i].deadline_us < next_us)
				next_us = probes[i].deadline_us;
		}
		if (poll(polled, count, next_us ? (int)((next_us - now) / 1000 + 1) : -1) < 0)
			continue;
		/* Backwards, because finishing one moves the last into its place. */
		for (int i = count - 1; i > 0; i--) {
			if (polled[i].revents)
				go_on(i);
		}
		if (polled[0].revents && !read_questions())
			return 0;
	}
}
