/*
 * A server that tells whom it saw. A line over TCP or a datagram over UDP is answered with one line:
 *   host=web-1 node=k8s-cp1 peer=10.244.0.5:40000 local=10.244.1.7:8080 data=...
 * An HTTP request on the same TCP port gets such a line, with method and path, as its body. The line "stream N" over
 * TCP begins a stream, see stream.h.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pod.h"
#include "stream.h"

#define CONNECTIONS_MAX 1024
#define PORTS_MAX 16
#define REQUEST_BYTES 2048
#define REPORT_BYTES 512 /* of an answer, without the data */
#define ANSWER_BYTES (REQUEST_BYTES + REPORT_BYTES)
#define DATAGRAM_BYTES 65536
#define DATAGRAMS_A_TURN 64

struct connection {
	int fd;
	size_t length;
	char request[REQUEST_BYTES];
	struct stream stream;
};

static struct pollfd polled[PORTS_MAX + CONNECTIONS_MAX];
static struct connection *connections[PORTS_MAX + CONNECTIONS_MAX];
static int is_udp[PORTS_MAX];
static int port_count, polled_count;
static char host[256], node[256];
static volatile sig_atomic_t ending;

static void on_end(int signal)
{
	(void)signal;
	ending = 1;
}

/* The answer has room for the data and REPORT_BYTES. */
static size_t report(char *answer, const address_t *peer, const address_t *local, const char *key, const char *data,
		     size_t length)
{
	char peer_text[ADDRESS_TEXT], local_text[ADDRESS_TEXT];
	size_t room = length + REPORT_BYTES;
	size_t size = snprintf(answer, room, "host=%s node=%s peer=%s local=%s %s=%.*s\n", host, node,
			       address_text(peer, peer_text), address_text(local, local_text), key, (int)length, data);

	return size < room ? size : room - 1;
}

static void add(int fd, struct connection *connection)
{
	polled[polled_count] = (struct pollfd){.fd = fd, .events = POLLIN};
	connections[polled_count++] = connection;
}

static void remove_at(int index)
{
	close(polled[index].fd);
	free(connections[index]);
	polled_count--;
	polled[index] = polled[polled_count];
	connections[index] = connections[polled_count];
}

static void accept_all(int listener)
{
	for (;;) {
		int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

		if (fd < 0)
			return;
		struct connection *connection =
		    polled_count < PORTS_MAX + CONNECTIONS_MAX ? calloc(1, sizeof(*connection)) : NULL;
		if (!connection) {
			close(fd);
			continue;
		}
		connection->fd = fd;
		add(fd, connection);
	}
}

static void answer_datagrams(int fd, uint16_t port)
{
	static char request[DATAGRAM_BYTES], answer[DATAGRAM_BYTES + REPORT_BYTES];
	char control[256];

	for (int i = 0; i < DATAGRAMS_A_TURN; i++) {
		address_t peer = {0}, local = {.ss_family = AF_INET6};
		struct iovec part = {request, sizeof(request)};
		struct msghdr message = {.msg_name = &peer,
					 .msg_namelen = sizeof(peer),
					 .msg_iov = &part,
					 .msg_iovlen = 1,
					 .msg_control = control,
					 .msg_controllen = sizeof(control)};
		ssize_t length = recvmsg(fd, &message, 0);

		if (length < 0)
			return;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
			struct sockaddr_in6 *v6 = (void *)&local;
			struct sockaddr_in *v4 = (void *)&local;

			if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
				struct in6_pktinfo *info = (void *)CMSG_DATA(c);

				v6->sin6_addr = info->ipi6_addr;
				info->ipi6_ifindex = 0; /* the route decides */
			} else if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
				struct in_pktinfo *info = (void *)CMSG_DATA(c);

				v4->sin_family = AF_INET;
				v4->sin_addr = info->ipi_addr;
				info->ipi_spec_dst = info->ipi_addr;
				info->ipi_ifindex = 0;
			}
		}
		((struct sockaddr_in6 *)&local)->sin6_port = htons(port);
		while (length > 0 && (request[length - 1] == '\n' || request[length - 1] == '\r'))
			length--;
		part = (struct iovec){answer, report(answer, &peer, &local, "data", request, length)};
		sendmsg(fd, &message, 0);
	}
}

static int is_http(const char *request)
{
	return !strncmp(request, "GET ", 4) || !strncmp(request, "HEAD ", 5) || !strncmp(request, "POST ", 5) ||
	       !strncmp(request, "PUT ", 4) || !strncmp(request, "DELETE ", 7) || !strncmp(request, "OPTIONS ", 8);
}

/* Consumes the first `taken` bytes of what has arrived. */
static void consume(struct connection *connection, size_t taken)
{
	connection->length -= taken;
	memmove(connection->request, connection->request + taken, connection->length);
}

static int answer_http(struct connection *connection, const address_t *peer, const address_t *local)
{
	char *end = strstr(connection->request, "\r\n\r\n");
	char body[ANSWER_BYTES], answer[ANSWER_BYTES + 256];

	if (!end)
		return connection->length < REQUEST_BYTES - 1;
	char *target_end = strstr(connection->request, " HTTP/");
	size_t target = (target_end ? target_end : strchr(connection->request, '\r')) - connection->request;
	size_t length = report(body, peer, local, "request", connection->request, target);
	int is_head = !strncmp(connection->request, "HEAD ", 5);
	int size = snprintf(answer, sizeof(answer),
			    "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %zu\r\n\r\n%s", length,
			    is_head ? "" : body);

	/* Closing resets the connection if the peer is gone, which is the peer's business. */
	if (send(connection->fd, answer, size, MSG_NOSIGNAL) < 0)
		return 0;
	int stays = !strcasestr(connection->request, "\r\nconnection: close");
	consume(connection, end + 4 - connection->request);
	return stays;
}

/* All of a stream has arrived: what we think of it, then as much back. */
static int answer_stream(struct connection *connection, const address_t *peer, const address_t *local)
{
	struct stream *stream = &connection->stream;
	char answer[ANSWER_BYTES], facts[64];
	int length = snprintf(facts, sizeof(facts), "%lu", stream->size);

	if (stream->damaged)
		length = snprintf(facts, sizeof(facts), "%lu damaged=%lu", stream->size, stream->damaged - 1);
	size_t size = report(answer, peer, local, "stream", facts, length);
	return send(connection->fd, answer, size, MSG_NOSIGNAL) == (ssize_t)size && stream_send(stream, connection->fd);
}

static int receive_stream(struct connection *connection, const address_t *peer, const address_t *local)
{
	static char piece[65536];
	struct stream *stream = &connection->stream;
	uint64_t left = stream->size - stream->in;
	ssize_t got = recv(connection->fd, piece, left < sizeof(piece) ? left : sizeof(piece), 0);

	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	stream_take(stream, piece, got);
	return stream_is_receiving(stream) || answer_stream(connection, peer, local);
}

static int answer_lines(struct connection *connection, const address_t *peer, const address_t *local)
{
	char answer[ANSWER_BYTES];
	char *end;

	while ((end = memchr(connection->request, '\n', connection->length))) {
		size_t length = end - connection->request;

		if (stream_open(&connection->stream, connection->request, length)) {
			consume(connection, length + 1);
			consume(connection, stream_take(&connection->stream, connection->request, connection->length));
			return stream_is_receiving(&connection->stream) || answer_stream(connection, peer, local);
		}
		size_t size = report(answer, peer, local, "data", connection->request,
				     length && end[-1] == '\r' ? length - 1 : length);

		if (send(connection->fd, answer, size, MSG_NOSIGNAL) < 0)
			return 0;
		consume(connection, length + 1);
	}
	return connection->length < REQUEST_BYTES - 1;
}

/* Whether the connection stays open. */
static int answer_connection(struct connection *connection)
{
	address_t peer, local;
	socklen_t peer_length = sizeof(peer), local_length = sizeof(local);

	if (stream_is_sending(&connection->stream))
		return stream_send(&connection->stream, connection->fd);
	if (getpeername(connection->fd, (void *)&peer, &peer_length) ||
	    getsockname(connection->fd, (void *)&local, &local_length))
		return 0;
	if (stream_is_receiving(&connection->stream))
		return receive_stream(connection, &peer, &local);
	ssize_t got =
	    recv(connection->fd, connection->request + connection->length, REQUEST_BYTES - 1 - connection->length, 0);
	if (got <= 0)
		return got < 0 && (errno == EAGAIN || errno == EINTR);
	connection->length += got;
	connection->request[connection->length] = '\0';
	return is_http(connection->request) ? answer_http(connection, &peer, &local)
					    : answer_lines(connection, &peer, &local);
}

static void add_port(const char *option, const char *text, uint16_t ports[PORTS_MAX])
{
	uint16_t port = number_option(option, text, 1, 65535);

	if (port_count == PORTS_MAX)
		fail("more than %d ports", PORTS_MAX);
	is_udp[port_count] = !strcmp(option, "--udp");
	ports[port_count++] = port;
	add(server_socket(!strcmp(option, "--udp") ? SOCK_DGRAM : SOCK_STREAM, port), NULL);
}

int echo_main(int argc, char **argv)
{
	uint16_t ports[PORTS_MAX];
	long drain_ms = 0;

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--tcp") || !strcmp(argv[i], "--udp") || !strcmp(argv[i], "--http"))
			add_port(argv[i], value, ports);
		else if (!strcmp(argv[i], "--drain"))
			drain_ms = number_option(argv[i], value, 0, 3600000);
		else {
			fprintf(
			    stderr,
			    "usage: echo [--tcp PORT] [--http PORT] [--udp PORT] ... [--drain MS: go on for so long "
			    "after SIGTERM]\n  default: --tcp 8080 --udp 8080\n");
			return STATUS_USAGE;
		}
	}
	if (!port_count) {
		add_port("--tcp", "8080", ports);
		add_port("--udp", "8080", ports);
	}
	gethostname(host, sizeof(host) - 1);
	snprintf(node, sizeof(node), "%s", getenv("NODE_NAME") ? getenv("NODE_NAME") : "");
	struct sigaction action = {.sa_handler = on_end};
	sigset_t blocked, open;
	sigemptyset(&open);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	for (int i = 0; i < port_count; i++)
		printf("listening on %s port %u\n", is_udp[i] ? "UDP" : "TCP", ports[i]);
	fflush(stdout);

	uint64_t end_us = 0;
	for (;;) {
		if (ending && !end_us)
			end_us = now_us() + drain_ms * 1000;
		uint64_t now = now_us();
		if (end_us && now >= end_us)
			return 0;
		uint64_t left = end_us - now;
		struct timespec timeout = {left / 1000000, left % 1000000 * 1000};
		/* Signals arrive only in here, so none is missed between the check above and the wait. */
		if (ppoll(polled, polled_count, end_us ? &timeout : NULL, &open) < 0)
			continue;
		for (int i = polled_count - 1; i >= 0; i--) {
			if (!polled[i].revents)
				continue;
			if (connections[i]) {
				if (answer_connection(connections[i]))
					polled[i].events =
					    stream_is_sending(&connections[i]->stream) ? POLLOUT : POLLIN;
				else
					remove_at(i);
			} else if (is_udp[i])
				answer_datagrams(polled[i].fd, ports[i]);
			else
				accept_all(polled[i].fd);
		}
	}
}
