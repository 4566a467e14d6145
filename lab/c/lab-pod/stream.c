#include "stream.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include "pod.h"

#define PIECE_BYTES 65536

static char byte_at(uint64_t offset)
{
	return '!' + (offset ^ offset >> 6 ^ offset >> 13) % 94;
}

void pattern_fill(char *to, uint64_t from, size_t length)
{
	for (size_t i = 0; i < length; i++)
		to[i] = byte_at(from + i);
}

size_t pattern_match(const char *data, uint64_t from, size_t length)
{
	size_t i = 0;

	while (i < length && data[i] == byte_at(from + i))
		i++;
	return i;
}

const char *pattern_check_answer(char *answer, size_t bytes)
{
	char *data = strstr(answer, "data=");
	size_t length = data ? strcspn(data + 5, "\n") : 0;

	if (!data || length != bytes || pattern_match(data + 5, 0, length) != length)
		return "the datagram came back with other data than was sent";
	sprintf(data + 5, "%zu-bytes", bytes);
	return NULL;
}

int stream_open(struct stream *stream, const char *line, size_t length)
{
	unsigned long size;
	char text[32];

	if (length >= sizeof(text))
		return 0;
	memcpy(text, line, length);
	text[length] = '\0';
	if (sscanf(text, "stream %lu", &size) != 1 || size == 0 || size > STREAM_BYTES_MAX)
		return 0;
	*stream = (struct stream){.size = size};
	return 1;
}

int stream_is_receiving(const struct stream *stream)
{
	return stream->in < stream->size;
}

int stream_is_sending(const struct stream *stream)
{
	return stream->size && !stream_is_receiving(stream) && stream->out < stream->size;
}

size_t stream_take(struct stream *stream, const char *data, size_t length)
{
	uint64_t left = stream->size - stream->in;

	if (length > left)
		length = left;
	size_t matching = pattern_match(data, stream->in, length);
	if (matching < length && !stream->damaged)
		stream->damaged = 1 + stream->in + matching;
	stream->in += length;
	return length;
}

/* The next piece of `size` bytes of which `done` are sent, or -1 as send(2) has it. */
static ssize_t send_piece(int fd, uint64_t done, uint64_t size)
{
	static char piece[PIECE_BYTES];
	size_t length = size - done < sizeof(piece) ? size - done : sizeof(piece);

	pattern_fill(piece, done, length);
	return send(fd, piece, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

int stream_send(struct stream *stream, int fd)
{
	while (stream->out < stream->size) {
		ssize_t sent = send_piece(fd, stream->out, stream->size);

		if (sent < 0)
			return errno == EAGAIN || errno == EINTR;
		stream->out += sent;
	}
	*stream = (struct stream){0};
	return 1;
}

static const char *problem_at(const char *step, uint64_t done, uint64_t size)
{
	static char problem[160];

	snprintf(problem, sizeof(problem), "%s, after %lu of %lu bytes: %s", step, done, size, strerror(errno));
	return problem;
}

static int wait_until(int fd, short events, uint64_t deadline_us)
{
	struct pollfd polled = {.fd = fd, .events = events};
	uint64_t now = now_us();
	int ready = poll(&polled, 1, deadline_us > now ? (int)((deadline_us - now) / 1000 + 1) : 0);

	if (ready == 0)
		errno = ETIMEDOUT;
	return ready == 1;
}

static const char *upload(int fd, uint64_t size, uint64_t deadline_us)
{
	char line[32];
	int length = snprintf(line, sizeof(line), "stream %lu\n", size);

	if (send(fd, line, length, MSG_NOSIGNAL) != length)
		return problem_at("send", 0, size);
	for (uint64_t done = 0; done < size;) {
		ssize_t sent = send_piece(fd, done, size);

		if (sent < 0 && errno != EAGAIN)
			return problem_at("send", done, size);
		if (sent < 0 && !wait_until(fd, POLLOUT, deadline_us))
			return problem_at("send", done, size);
		done += sent > 0 ? sent : 0;
	}
	return NULL;
}

/* The line first, then the bytes. */
static const char *download(int fd, uint64_t size, uint64_t deadline_us, char *answer, size_t answer_size)
{
	static char piece[PIECE_BYTES];
	size_t line_length = 0;
	int has_line = 0;

	for (uint64_t done = 0; done < size;) {
		if (!wait_until(fd, POLLIN, deadline_us))
			return problem_at("receive", done, size);
		ssize_t got = recv(fd, piece, sizeof(piece), 0);
		if (got < 0)
			return problem_at("receive", done, size);
		if (got == 0)
			return "the peer closed the connection in the middle of the stream";
		const char *data = piece;
		for (; got && !has_line; got--, data++) {
			has_line = *data == '\n';
			if (line_length + 1 == answer_size)
				return "the answer is too long";
			answer[line_length++] = *data;
		}
		answer[line_length] = '\0';
		if (pattern_match(data, done, got) < (size_t)got) {
			errno = EBADMSG;
			return problem_at("receive: the bytes are not those that were sent", done, size);
		}
		done += got;
	}
	return strstr(answer, "damaged=") ? "the server got other bytes than were sent" : NULL;
}

const char *stream_exchange(int fd, uint64_t size, long timeout_ms, char *answer, size_t answer_size)
{
	uint64_t deadline_us = now_us() + timeout_ms * 1000;
	const char *problem = upload(fd, size, deadline_us);

	return problem ? problem : download(fd, size, deadline_us, answer, answer_size);
}
