/*
 * Asks an echo server and prints what came back, one line an attempt:
 *   ok 1 ms=0.31 local=10.244.0.5:40000 peername=10.96.0.50:80 from=10.96.0.50:80 answer: host=web-1 ...
 *   failed 2 after 0.12 ms: connect: Connection refused
 * and at the end a summary with the hosts that answered. The exit status is 0 when every attempt was answered.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/tcp.h>
#include "pod.h"
#include "stream.h"

#define ANSWER_BYTES (65536 + 1)
/* Leaves room for what the server says before it repeats the data. */
#define DATAGRAM_BYTES_MAX 65000
#define HOSTS_MAX 64

static const char usage[] =
    "usage: client tcp|http|udp ADDRESS|NAME PORT [OPTION ...]\n"
    "  --count N        attempts, 0 is until ended (default 1)\n"
    "  --interval MS    pause between attempts (default 0)\n"
    "  --timeout MS     for connecting, and for the answer (default 2000)\n"
    "  --stream         tcp: one connection for all attempts; its break ends the program, with the reason\n"
    "  --unconnected    udp: one socket for all attempts, with sendto and recvfrom (otherwise connected, one socket "
    "each)\n"
    "  --mapped         an IPv4 address by way of an IPv6 socket\n"
    "  --family 4|6     which of a name's addresses\n"
    "  --source ADDRESS, --source-port PORT\n"
    "  --data TEXT      what to say (default: the attempt's number)\n"
    "  --bytes N        udp: a datagram of so many bytes; tcp: so many bytes there and back; they must come back as "
    "sent\n"
    "  --path PATH      http (default /)\n"
    "  --end-on-failure  the first failure ends the program\n"
    "  --quiet          only failures and the summary\n";

static struct {
	enum { TCP, HTTP, UDP } protocol;
	const char *target, *source, *data, *path;
	uint16_t port, source_port;
	long count, interval_ms, timeout_ms, bytes;
	int family, stream, unconnected, mapped, quiet, end_on_failure;
} options = {.path = "/", .count = 1, .timeout_ms = 2000};

static struct {
	char name[64];
	unsigned long answers;
} hosts[HOSTS_MAX];
static int host_count;
static unsigned long sent, answered;
static volatile sig_atomic_t ending;

static void on_end(int signal)
{
	(void)signal;
	ending = 1;
}

static void parse(int argc, char **argv)
{
	const char *protocol = argc > 3 ? argv[1] : "";

	if (!strcmp(protocol, "tcp"))
		options.protocol = TCP;
	else if (!strcmp(protocol, "http"))
		options.protocol = HTTP;
	else if (!strcmp(protocol, "udp"))
		options.protocol = UDP;
	else {
		fputs(usage, stderr);
		exit(STATUS_USAGE);
	}
	options.target = argv[2];
	options.port = number_option("PORT", argv[3], 1, 65535);
	for (int i = 4; i < argc; i++) {
		const char *option = argv[i];

		if (!strcmp(option, "--stream"))
			options.stream = 1;
		else if (!strcmp(option, "--unconnected"))
			options.unconnected = 1;
		else if (!strcmp(option, "--mapped"))
			options.mapped = 1;
		else if (!strcmp(option, "--quiet"))
			options.quiet = 1;
		else if (!strcmp(option, "--end-on-failure"))
			options.end_on_failure = 1;
		else {
			const char *value = argv[++i];

			if (!strcmp(option, "--count"))
				options.count = number_option(option, value, 0, 1000000000);
			else if (!strcmp(option, "--interval"))
				options.interval_ms = number_option(option, value, 0, 3600000);
			else if (!strcmp(option, "--timeout"))
				options.timeout_ms = number_option(option, value, 1, 3600000);
			else if (!strcmp(option, "--bytes"))
				options.bytes = number_option(
				    option, value, 1, options.protocol == UDP ? DATAGRAM_BYTES_MAX : STREAM_BYTES_MAX);
			else if (!strcmp(option, "--family"))
				options.family = number_option(option, value, 4, 6) == 4 ? AF_INET : AF_INET6;
			else if (!strcmp(option, "--source-port"))
				options.source_port = number_option(option, value, 1, 65535);
			else if (!strcmp(option, "--source") && value)
				options.source = value;
			else if (!strcmp(option, "--data") && value)
				options.data = value;
			else if (!strcmp(option, "--path") && value)
				options.path = value;
			else {
				fprintf(stderr, "lab-pod: unknown option, or one without its value: %s\n%s", option,
					usage);
				exit(STATUS_USAGE);
			}
		}
	}
}

static void map_into_v6(address_t *address)
{
	struct sockaddr_in v4;
	struct sockaddr_in6 *v6 = (void *)address;

	if (address->ss_family != AF_INET)
		return;
	memcpy(&v4, address, sizeof(v4));
	memset(address, 0, sizeof(*address));
	v6->sin6_family = AF_INET6;
	v6->sin6_port = v4.sin_port;
	v6->sin6_addr.s6_addr[10] = v6->sin6_addr.s6_addr[11] = 0xff;
	memcpy(&v6->sin6_addr.s6_addr[12], &v4.sin_addr, 4);
}

/* A problem is text like "resolve web: no such name", in a buffer that the next one overwrites; NULL is success. */
static const char *problem_of(const char *step)
{
	static char problem[256];

	snprintf(problem, sizeof(problem), "%s: %s", step, strerror(errno));
	return problem;
}

/* By name or address, anew for each connection as programs do. */
static const char *find_target(address_t *target)
{
	static char problem[256];
	address_t found[RESOLVED_MAX];
	const char *why;

	if (!address_parse(options.target, options.port, target)) {
		if (resolve_name(options.target, options.family, found, &why) < 1) {
			snprintf(problem, sizeof(problem), "resolve %s: %s", options.target, why);
			return problem;
		}
		*target = found[0];
		/* The port lies at the same place in both families. */
		((struct sockaddr_in *)target)->sin_port = htons(options.port);
	}
	if (options.mapped)
		map_into_v6(target);
	return NULL;
}

static const char *wait_for(int fd, short events, const char *step)
{
	struct pollfd polled = {.fd = fd, .events = events};
	int ready = poll(&polled, 1, options.timeout_ms);

	if (ready == 1)
		return NULL;
	if (ready == 0)
		errno = ETIMEDOUT;
	return problem_of(step);
}

static const char *open_socket(const address_t *target, int *opened)
{
	int yes = 1, error = 0;
	socklen_t size = sizeof(error);
	address_t source;

	int fd = socket(target->ss_family, (options.protocol == UDP ? SOCK_DGRAM : SOCK_STREAM) | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return problem_of("socket");
	*opened = fd;
	if (options.source || options.source_port) {
		const char *any = target->ss_family == AF_INET ? "0.0.0.0" : "::";

		if (!address_parse(options.source ? options.source : any, options.source_port, &source))
			fail("--source is no address: %s", options.source);
		if (options.mapped)
			map_into_v6(&source);
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
		if (bind(fd, (void *)&source, address_length(&source)))
			return problem_of("bind");
	}
	if (options.protocol == UDP && options.unconnected)
		return NULL;
	if (connect(fd, (void *)target, address_length(target)) && errno != EINPROGRESS)
		return problem_of("connect");
	const char *problem = wait_for(fd, POLLOUT, "connect");
	if (problem)
		return problem;
	getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size);
	errno = error;
	return error ? problem_of("connect") : NULL;
}

static const char *say(int fd, const address_t *target)
{
	static char request[65536];
	int size;

	if (options.bytes) {
		pattern_fill(request, 0, options.bytes);
		size = options.bytes;
	} else if (options.protocol == HTTP)
		size = snprintf(request, sizeof(request), "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
				options.path, options.target);
	else if (options.data)
		size = snprintf(request, sizeof(request), "%s\n", options.data);
	else
		size = snprintf(request, sizeof(request), "%lu\n", sent);
	if (size >= (int)sizeof(request))
		fail("the request is too long");
	int is_sendto = options.protocol == UDP && options.unconnected;
	ssize_t done = sendto(fd, request, size, MSG_NOSIGNAL, is_sendto ? (void *)target : NULL,
			      is_sendto ? address_length(target) : 0);
	return done == size ? NULL : problem_of("send");
}

/* One datagram, one line, or with HTTP all until the connection is closed. */
static const char *hear(int fd, char answer[ANSWER_BYTES], address_t *from)
{
	size_t length = 0;
	socklen_t size = sizeof(*from);

	for (;;) {
		const char *problem = wait_for(fd, POLLIN, "answer");
		if (problem)
			return problem;
		ssize_t got = recvfrom(fd, answer + length, ANSWER_BYTES - 1 - length, 0, (void *)from, &size);
		if (got < 0)
			return problem_of("receive");
		length += got;
		answer[length] = '\0';
		if (got == 0 && options.protocol == HTTP && length)
			return NULL;
		if (got == 0 && options.protocol != UDP)
			return "the peer closed the connection";
		if (options.protocol == UDP || (options.protocol == TCP && strchr(answer, '\n')))
			return NULL;
		if (length == ANSWER_BYTES - 1)
			return "the answer is too long";
	}
}

static void count_host(const char *answer)
{
	char name[64];
	const char *start = strstr(answer, "host=");

	if (!start || sscanf(start, "host=%63s", name) != 1)
		return;
	for (int i = 0; i < host_count; i++) {
		if (strcmp(hosts[i].name, name))
			continue;
		hosts[i].answers++;
		return;
	}
	if (host_count == HOSTS_MAX)
		return;
	strcpy(hosts[host_count].name, name);
	hosts[host_count++].answers = 1;
}

static const char *exchange(int fd, const address_t *target, char answer[ANSWER_BYTES], address_t *from)
{
	if (options.bytes && options.protocol != UDP)
		return stream_exchange(fd, options.bytes, options.timeout_ms, answer, ANSWER_BYTES);
	const char *problem = say(fd, target);
	if (!problem)
		problem = hear(fd, answer, from);
	return !problem && options.bytes ? pattern_check_answer(answer, options.bytes) : problem;
}

/* What TCP made of the path: the route's MTU, the segments it cut, and how often it sent one again. */
static void report_segments(int fd)
{
	struct tcp_info info = {0};
	socklen_t size = sizeof(info);

	if (options.bytes && !getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &size))
		printf("mtu=%u mss=%u retransmits=%u ", info.tcpi_pmtu, info.tcpi_snd_mss, info.tcpi_total_retrans);
}

static void report_answer(int fd, char *answer, const address_t *from, uint64_t started)
{
	char local_text[ADDRESS_TEXT] = "-", peername_text[ADDRESS_TEXT] = "-", from_text[ADDRESS_TEXT];
	address_t local, peername;
	socklen_t local_length = sizeof(local), peername_length = sizeof(peername);
	char *body = options.protocol == HTTP ? strstr(answer, "\r\n\r\n") : NULL;

	answered++;
	count_host(answer);
	if (options.quiet)
		return;
	if (!getsockname(fd, (void *)&local, &local_length))
		address_text(&local, local_text);
	if (!getpeername(fd, (void *)&peername, &peername_length))
		address_text(&peername, peername_text);
	/* A stream's recvfrom gives no address. */
	const char *sender = options.protocol == UDP ? address_text(from, from_text) : peername_text;
	body = body ? body + 4 : answer;
	body[strcspn(body, "\r\n")] = '\0';
	printf("ok %lu ms=%.2f local=%s peername=%s from=%s ", sent, (now_us() - started) / 1000.0, local_text,
	       peername_text, sender);
	report_segments(fd);
	printf("answer: %.*s%s%s\n", options.protocol == HTTP ? (int)strcspn(answer, "\r\n") : 0, answer,
	       options.protocol == HTTP ? " " : "", body);
}

static void attempt(int *fd)
{
	static char answer[ANSWER_BYTES];
	address_t target, from = {0};
	uint64_t started = now_us();
	int keeps = options.stream || (options.protocol == UDP && options.unconnected);

	sent++;
	const char *problem = find_target(&target);
	if (!problem && *fd < 0)
		problem = open_socket(&target, fd);
	if (!problem)
		problem = exchange(*fd, &target, answer, &from);
	if (problem && !ending)
		printf("failed %lu after %.2f ms: %s\n", sent, (now_us() - started) / 1000.0, problem);
	else if (problem)
		sent--; /* told to end in the middle of it */
	else
		report_answer(*fd, answer, &from, started);
	fflush(stdout);
	if (problem && (options.stream || options.end_on_failure))
		ending = 1;
	if (*fd >= 0 && (!keeps || (problem && options.stream))) {
		close(*fd);
		*fd = -1;
	}
}

static void pause_until(uint64_t time_us)
{
	int64_t left = time_us - now_us();

	if (left > 0 && !ending)
		usleep(left);
}

int client_main(int argc, char **argv)
{
	struct sigaction action = {.sa_handler = on_end};
	int fd = -1;

	parse(argc, argv);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	while (!ending && (!options.count || sent < (unsigned long)options.count)) {
		uint64_t next_us = now_us() + options.interval_ms * 1000;

		attempt(&fd);
		if (!options.count || sent < (unsigned long)options.count)
			pause_until(next_us);
	}
	printf("sent=%lu answered=%lu failed=%lu hosts:", sent, answered, sent - answered);
	for (int i = 0; i < host_count; i++)
		printf(" %s=%lu", hosts[i].name, hosts[i].answers);
	printf("\n");
	return answered == sent && answered ? 0 : STATUS_FAILED;
}
