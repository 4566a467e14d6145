/*
 * Bulk data whose damage shows. A datagram carries so many bytes of the pattern; on a TCP connection the line
 * "stream N" is followed by N bytes of it, the server answers with its line and sends N bytes back.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#define STREAM_BYTES_MAX (1 << 30)

/* Printable, and no two neighbourhoods are alike: a piece that is missing, twice or elsewhere is found. */
void pattern_fill(char *to, uint64_t from, size_t length);
/* How many bytes are as they should be. */
size_t pattern_match(const char *data, uint64_t from, size_t length);
/* Whether an echo server's answer repeats so many bytes of it, which "N-bytes" then stands for; else what is wrong. */
const char *pattern_check_answer(char *answer, size_t bytes);

/* The server's side of one connection; all zero: none is under way. */
struct stream {
	uint64_t size;
	uint64_t in;
	uint64_t out;
	/* 1 + the offset of the first byte that was not as it should be; 0: none. */
	uint64_t damaged;
	int is_answering;
};

/* Whether the line asks for a stream, which then begins. */
int stream_open(struct stream *stream, const char *line, size_t length);
int stream_is_receiving(const struct stream *stream);
int stream_is_sending(const struct stream *stream);
/* What has arrived; returns how much of it was the stream's. */
size_t stream_take(struct stream *stream, const char *data, size_t length);
/* Sends as much as fits; 0 when the connection is broken. */
int stream_send(struct stream *stream, int fd);

/* The client's side: NULL, or what went wrong. The answer is the server's line. */
const char *stream_exchange(int fd, uint64_t size, long timeout_ms, char *answer, size_t answer_size);
