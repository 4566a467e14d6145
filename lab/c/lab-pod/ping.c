/*
 * ICMP echo, and what comes instead of a reply:
 *   route mtu=1450
 *   ok 1 ms=0.31 from=10.244.1.7 length=84 hops=62
 *   icmp 1 ms=0.12 from=10.244.0.1 type=time-exceeded
 *   icmp 1 ms=0.02 from=sender type=too-big mtu=1450
 *   failed 1 after 2000.1 ms: answer: Connection timed out
 * "from=sender": the sender's own stack knew. The exit status is 0 when every request was replied to.
 */
#include <errno.h>
#include <netinet/icmp6.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "pod.h"
#include "stream.h"
#include "wire.h"

#define ICMP_HEADER_BYTES 8
#define LENGTH_DEFAULT 84
#define IPV6_HEADER_BYTES 40

static const char usage[] = "usage: ping ADDRESS [OPTION ...]\n"
			    "  --length N|mtu|mtu+1   of the whole IP packet (default 84); mtu is that of the route\n"
			    "  --df                   must not be fragmented, whatever the sender knows of the path\n"
			    "  --hops N               hop limit (TTL)\n"
			    "  --count N, --interval MS, --timeout MS (default 1, 0, 2000)\n";

static struct {
	address_t target;
	long length, hops, count, interval_ms, timeout_ms;
	int df;
} options = {.length = LENGTH_DEFAULT, .count = 1, .timeout_ms = 2000};

/* What came, from whom; `name` is NULL for a packet that has nothing to do with us. */
struct answer {
	const char *name;
	address_t from;
	long length, hops;
	uint32_t mtu;
};

static uint16_t id;

static int is_ipv4(void)
{
	return options.target.ss_family == AF_INET;
}

static size_t network_bytes(void)
{
	return is_ipv4() ? sizeof(struct iphdr) : IPV6_HEADER_BYTES;
}

static long length_option(const char *value)
{
	int more = 0;

	if (!value || strncmp(value, "mtu", 3))
		return number_option("--length", value, network_bytes() + ICMP_HEADER_BYTES, PACKET_BYTES_MAX);
	if (value[3])
		more = number_option("--length mtu", value + 3, -65535, 65535);
	return mtu_towards(&options.target) + more;
}

static void parse(int argc, char **argv)
{
	if (argc < 2 || !address_parse(argv[1], 0, &options.target)) {
		fputs(usage, stderr);
		exit(STATUS_USAGE);
	}
	for (int i = 2; i < argc; i++) {
		const char *option = argv[i];

		if (!strcmp(option, "--df")) {
			options.df = 1;
			continue;
		}
		const char *value = argv[++i];
		if (!strcmp(option, "--length"))
			options.length = length_option(value);
		else if (!strcmp(option, "--hops"))
			options.hops = number_option(option, value, 1, 255);
		else if (!strcmp(option, "--count"))
			options.count = number_option(option, value, 1, 1000000);
		else if (!strcmp(option, "--interval"))
			options.interval_ms = number_option(option, value, 0, 3600000);
		else if (!strcmp(option, "--timeout"))
			options.timeout_ms = number_option(option, value, 1, 3600000);
		else {
			fprintf(stderr, "lab-pod: unknown option, or one without its value: %s\n%s", option, usage);
			exit(STATUS_USAGE);
		}
	}
}

static void set(int fd, int level, int name, int value)
{
	if (setsockopt(fd, level, name, &value, sizeof(value)))
		fail("set option %d of the socket", name);
}

static int open_socket(void)
{
	int fd = socket(options.target.ss_family, SOCK_RAW | SOCK_CLOEXEC, is_ipv4() ? IPPROTO_ICMP : IPPROTO_ICMPV6);

	if (fd < 0)
		fail("open a raw socket (it takes the capability NET_RAW)");
	set(fd, SOL_SOCKET, SO_RCVBUF, 1 << 20);
	if (is_ipv4()) {
		/* With PROBE the sender goes up to its device's MTU, not only to what it knows of the path. */
		set(fd, IPPROTO_IP, IP_MTU_DISCOVER, options.df ? IP_PMTUDISC_PROBE : IP_PMTUDISC_DONT);
		if (options.hops)
			set(fd, IPPROTO_IP, IP_TTL, options.hops);
		return fd;
	}
	set(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, options.df ? IPV6_PMTUDISC_PROBE : IPV6_PMTUDISC_DONT);
	set(fd, IPPROTO_IPV6, IPV6_DONTFRAG, options.df);
	set(fd, IPPROTO_IPV6, IPV6_RECVHOPLIMIT, 1);
	if (options.hops)
		set(fd, IPPROTO_IPV6, IPV6_UNICAST_HOPS, options.hops);
	return fd;
}

static int send_request(int fd, uint16_t sequence)
{
	static uint8_t request[PACKET_BYTES_MAX];
	size_t length = options.length - network_bytes();
	/* The same layout in both families; the kernel fills in the checksum of ICMPv6. */
	struct icmphdr icmp = {
	    .type = is_ipv4() ? ICMP_ECHO : ICMP6_ECHO_REQUEST,
	    .un.echo = {.id = id, .sequence = htons(sequence)},
	};

	pattern_fill((char *)request + sizeof(icmp), 0, length - sizeof(icmp));
	memcpy(request, &icmp, sizeof(icmp));
	icmp.checksum = checksum_fold(checksum_add(0, request, length));
	memcpy(request, &icmp, sizeof(icmp));
	return sendto(fd, request, length, 0, (void *)&options.target, address_length(&options.target)) ==
	       (ssize_t)length;
}

static int is_ours(const uint8_t *icmp, uint16_t sequence)
{
	const struct icmphdr *header = (const void *)icmp;

	return header->un.echo.id == id && header->un.echo.sequence == htons(sequence);
}

static const char *error_name(uint8_t type, uint8_t code)
{
	static char name[32];

	if (type == (is_ipv4() ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED))
		return "time-exceeded";
	if (is_ipv4() ? type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED : type == ICMP6_PACKET_TOO_BIG)
		return "too-big";
	if (type != (is_ipv4() ? ICMP_DEST_UNREACH : ICMP6_DST_UNREACH))
		return NULL;
	snprintf(name, sizeof(name), "unreachable code=%u", code);
	return name;
}

/* An error quotes our request, from its IP header on. */
static void read_error(const uint8_t *icmp, size_t length, uint16_t sequence, struct answer *answer)
{
	const uint8_t *quote = icmp + ICMP_HEADER_BYTES;
	const struct icmphdr *header = (const void *)icmp;
	size_t quoted = length - ICMP_HEADER_BYTES;
	size_t before = is_ipv4() && quoted ? (quote[0] & 15) * 4 : network_bytes();

	if (quoted < before + ICMP_HEADER_BYTES || !is_ours(quote + before, sequence))
		return;
	answer->name = error_name(header->type, header->code);
	answer->mtu = is_ipv4() ? ntohs(header->un.frag.mtu) : ntohl(header->un.gateway);
}

static void read_packet(const uint8_t *packet, size_t length, uint16_t sequence, struct answer *answer)
{
	size_t before = 0;

	/* A raw socket of IPv4 gives the IP header, too. */
	if (is_ipv4()) {
		before = (packet[0] & 15) * 4;
		answer->hops = packet[8];
	}
	if (length < before + ICMP_HEADER_BYTES)
		return;
	const uint8_t *icmp = packet + before;
	answer->length = length - before + network_bytes();
	if (icmp[0] != (is_ipv4() ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY))
		return read_error(icmp, length - before, sequence, answer);
	if (!is_ours(icmp, sequence))
		return;
	size_t data = length - before - ICMP_HEADER_BYTES;
	int is_whole = pattern_match((const char *)icmp + ICMP_HEADER_BYTES, 0, data) == data;
	answer->name = is_whole ? "reply" : "damaged-reply";
}

static struct answer receive(int fd, uint16_t sequence)
{
	static uint8_t packet[PACKET_BYTES_MAX + 64];
	struct answer answer = {0};
	char control[128];
	struct iovec part = {packet, sizeof(packet)};
	struct msghdr message = {.msg_name = &answer.from,
				 .msg_namelen = sizeof(answer.from),
				 .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(fd, &message, MSG_DONTWAIT);

	if (length < 0)
		return answer;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		int hops;

		if (c->cmsg_level != IPPROTO_IPV6 || c->cmsg_type != IPV6_HOPLIMIT)
			continue;
		memcpy(&hops, CMSG_DATA(c), sizeof(hops));
		answer.hops = hops;
	}
	read_packet(packet, length, sequence, &answer);
	return answer;
}

static struct answer await(int fd, uint16_t sequence)
{
	uint64_t deadline_us = now_us() + options.timeout_ms * 1000;
	struct answer answer = {0};

	for (uint64_t now; !answer.name && (now = now_us()) < deadline_us;) {
		struct pollfd polled = {.fd = fd, .events = POLLIN};

		if (poll(&polled, 1, (deadline_us - now) / 1000 + 1) == 1)
			answer = receive(fd, sequence);
	}
	return answer;
}

static int report(const struct answer *answer, long number, uint64_t started)
{
	char from[ADDRESS_TEXT] = "sender";
	double ms = (now_us() - started) / 1000.0;

	if (!answer->name)
		return printf("failed %ld after %.2f ms: answer: Connection timed out\n", number, ms), 0;
	if (answer->from.ss_family)
		host_text(&answer->from, from);
	if (!strcmp(answer->name, "reply"))
		return printf("ok %ld ms=%.2f from=%s length=%ld hops=%ld\n", number, ms, from, answer->length,
			      answer->hops);
	printf("icmp %ld ms=%.2f from=%s type=%s", number, ms, from, answer->name);
	if (!strcmp(answer->name, "too-big"))
		printf(" mtu=%u", answer->mtu);
	printf("\n");
	return 0;
}

static int attempt(int fd, long number)
{
	uint64_t started = now_us();
	struct answer answer;

	if (send_request(fd, number)) {
		answer = await(fd, number);
		return report(&answer, number, started);
	}
	if (errno == EMSGSIZE) {
		answer = (struct answer){.name = "too-big", .mtu = mtu_towards(&options.target)};
		return report(&answer, number, started);
	}
	printf("failed %ld after %.2f ms: send: %s\n", number, (now_us() - started) / 1000.0, strerror(errno));
	return 0;
}

int ping_main(int argc, char **argv)
{
	long replies = 0;

	parse(argc, argv);
	id = getpid() ^ now_us();
	int fd = open_socket();
	printf("route mtu=%d\n", mtu_towards(&options.target));
	for (long number = 1; number <= options.count; number++) {
		replies += attempt(fd, number) > 0;
		fflush(stdout);
		if (number < options.count)
			usleep(options.interval_ms * 1000);
	}
	return replies == options.count ? 0 : STATUS_FAILED;
}
