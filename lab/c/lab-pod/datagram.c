/*
 * A UDP datagram as raw packets, whole or in fragments, which no socket hook sees; its answer is waited for on a socket
 * at the source port:
 *   ok 1 ms=0.40 local=10.244.0.5:40000 from=10.96.0.50:80 answer: host=web-1 ... data=3000-bytes
 *   failed 1 after 2000.1 ms: answer: Connection timed out
 */
#include <errno.h>
#include <netinet/udp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pod.h"
#include "stream.h"
#include "wire.h"

#define DATA_BYTES_MAX 65000

static const char usage[] = "usage: datagram ADDRESS PORT [OPTION ...]\n"
			    "  --bytes N           of data (default 64)\n"
			    "  --fragment N        in fragments of so many bytes of payload, a multiple of 8\n"
			    "  --reverse           the last fragment first\n"
			    "  --source ADDRESS    as somebody else: then no answer is waited for\n"
			    "  --source-port N\n"
			    "  --count N           attempts (default 1)\n"
			    "  --interval MS       pause between attempts (default 0)\n"
			    "  --timeout MS        for the answer (default 2000)\n";

static struct {
	address_t target, source;
	long bytes, fragment, source_port, count, interval_ms, timeout_ms;
	int is_reverse, is_foreign;
} options = {.bytes = 64, .count = 1, .timeout_ms = 2000};

static void parse_option(const char *option, const char *value)
{
	if (!strcmp(option, "--bytes"))
		options.bytes = number_option(option, value, 1, DATA_BYTES_MAX);
	else if (!strcmp(option, "--fragment"))
		options.fragment = number_option(option, value, 8, PACKET_BYTES_MAX) & ~7;
	else if (!strcmp(option, "--source-port"))
		options.source_port = number_option(option, value, 1, 65535);
	else if (!strcmp(option, "--count"))
		options.count = number_option(option, value, 1, 1000000);
	else if (!strcmp(option, "--interval"))
		options.interval_ms = number_option(option, value, 0, 3600000);
	else if (!strcmp(option, "--timeout"))
		options.timeout_ms = number_option(option, value, 1, 3600000);
	else if (!strcmp(option, "--source") && value && address_parse(value, 0, &options.source))
		options.is_foreign = 1;
	else {
		fprintf(stderr, "lab-pod: unknown option, or one without its value: %s\n%s", option, usage);
		exit(STATUS_USAGE);
	}
}

static void parse(int argc, char **argv)
{
	if (argc < 3 || !address_parse(argv[1], number_option("PORT", argv[2], 1, 65535), &options.target)) {
		fputs(usage, stderr);
		exit(STATUS_USAGE);
	}
	for (int i = 3; i < argc; i++) {
		if (!strcmp(argv[i], "--reverse"))
			options.is_reverse = 1;
		else {
			parse_option(argv[i], i + 1 < argc ? argv[i + 1] : NULL);
			i++;
		}
	}
	if (options.is_foreign && options.source.ss_family != options.target.ss_family) {
		errno = 0;
		fail("--source is of another family than %s", argv[1]);
	}
}

/* Bound to the port from which the raw packets say they come: answers arrive here, and nobody else gets the port. */
static int open_receiver(address_t *own)
{
	int fd = socket(options.target.ss_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t length = sizeof(*own);

	if (!source_towards(&options.target, own))
		fail("no route to the target");
	((struct sockaddr_in *)own)->sin_port = htons(options.source_port);
	if (fd < 0 || bind(fd, (void *)own, address_length(own)) || getsockname(fd, (void *)own, &length))
		fail("bind to the source port");
	return fd;
}

/* Header and data, with the checksum over all of it. */
static size_t write_datagram(uint8_t *datagram, const address_t *source)
{
	size_t length = sizeof(struct udphdr) + options.bytes;
	struct udphdr udp = {
	    .uh_sport = ((const struct sockaddr_in *)source)->sin_port,
	    .uh_dport = ((struct sockaddr_in *)&options.target)->sin_port,
	    .uh_ulen = htons(length),
	};

	memcpy(datagram, &udp, sizeof(udp));
	pattern_fill((char *)datagram + sizeof(udp), 0, options.bytes);
	uint32_t sum = checksum_pseudo(source, &options.target, IPPROTO_UDP, length);
	udp.uh_sum = checksum_fold(checksum_add(sum, datagram, length));
	if (!udp.uh_sum)
		udp.uh_sum = 0xffff;
	memcpy(datagram, &udp, sizeof(udp));
	return length;
}

static const char *send_piece(int fd, const struct packet_header *header, const uint8_t *datagram, size_t length)
{
	static uint8_t packet[PACKET_BYTES_MAX + 64];
	static char problem[128];
	/* With headers of its own a raw socket wants no port. */
	address_t target = options.target;
	size_t size = packet_header_write(packet, header, length);

	((struct sockaddr_in *)&target)->sin_port = 0;
	memcpy(packet + size, datagram + header->offset, length);
	size += length;
	if (sendto(fd, packet, size, 0, (void *)&target, address_length(&target)) == (ssize_t)size)
		return NULL;
	snprintf(problem, sizeof(problem), "send a packet of %zu bytes: %s", size, strerror(errno));
	return problem;
}

static const char *send_datagram(int fd, const address_t *source)
{
	static uint8_t datagram[PACKET_BYTES_MAX];
	size_t length = write_datagram(datagram, source);
	size_t piece = options.fragment ? (size_t)options.fragment : length;
	size_t pieces = (length + piece - 1) / piece;
	struct packet_header header = {
	    .source = source,
	    .destination = &options.target,
	    .id = now_us(),
	    .protocol = IPPROTO_UDP,
	    .is_fragment = pieces > 1,
	};

	for (size_t i = 0; i < pieces; i++) {
		size_t index = options.is_reverse ? pieces - 1 - i : i;

		header.offset = index * piece;
		header.has_more = index + 1 < pieces;
		const char *problem =
		    send_piece(fd, &header, datagram, header.has_more ? piece : length - header.offset);
		if (problem)
			return problem;
	}
	return NULL;
}

static const char *await_answer(int fd, char answer[PACKET_BYTES_MAX + 1], address_t *from)
{
	struct pollfd polled = {.fd = fd, .events = POLLIN};
	socklen_t length = sizeof(*from);

	if (poll(&polled, 1, options.timeout_ms) != 1)
		return "answer: Connection timed out";
	ssize_t got = recvfrom(fd, answer, PACKET_BYTES_MAX, 0, (void *)from, &length);
	if (got < 0)
		return strerror(errno);
	answer[got] = '\0';
	return pattern_check_answer(answer, options.bytes);
}

/* Whether it was answered, or sent where no answer can come. */
static int attempt(int sender, int receiver, const address_t *source, long number)
{
	static char answer[PACKET_BYTES_MAX + 1];
	char own_text[ADDRESS_TEXT], from_text[ADDRESS_TEXT];
	uint64_t started = now_us();
	address_t from;
	const char *problem = send_datagram(sender, source);

	if (!problem && options.is_foreign)
		return printf("sent %ld\n", number);
	if (!problem)
		problem = await_answer(receiver, answer, &from);
	double ms = (now_us() - started) / 1000.0;
	if (problem)
		printf("failed %ld after %.2f ms: %s\n", number, ms, problem);
	else
		printf("ok %ld ms=%.2f local=%s from=%s answer: %s\n", number, ms, address_text(source, own_text),
		       address_text(&from, from_text), answer);
	return !problem;
}

int datagram_main(int argc, char **argv)
{
	address_t own;
	long done = 0;

	parse(argc, argv);
	if (options.is_foreign)
		own = options.source;
	((struct sockaddr_in *)&own)->sin_port = htons(options.source_port);
	int sender = packet_sender(options.target.ss_family);
	int receiver = options.is_foreign ? -1 : open_receiver(&own);
	for (long number = 1; number <= options.count; number++) {
		done += attempt(sender, receiver, &own, number) > 0;
		fflush(stdout);
		if (number < options.count)
			usleep(options.interval_ms * 1000);
	}
	return done == options.count ? 0 : STATUS_FAILED;
}
