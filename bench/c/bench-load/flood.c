/*
 * SYNs from clients that do not exist: sources out of 198.18.0.0/15 and ports at random, from a raw socket. Prints how
 * many were sent and how long it took: {"sent":1000000,"seconds":5.2}
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/ip.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "load.h"

#define BATCH 32

struct frame {
	struct iphdr ip;
	struct tcphdr tcp;
};

static uint64_t state;

static uint64_t random_number(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	return state ^= state << 17;
}

static uint16_t tcp_checksum(const struct frame *frame)
{
	const uint8_t *bytes = (const void *)&frame->ip.saddr;
	/* Addresses and header lie behind each other; the rest of the pseudo header. */
	uint32_t sum = htons(IPPROTO_TCP) + htons(sizeof(frame->tcp));

	for (size_t i = 0; i < 8 + sizeof(frame->tcp); i += 2) {
		uint16_t half;

		memcpy(&half, bytes + i, 2);
		sum += half;
	}
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* The kernel fills in the checksum and the identification of the IP header. */
static void forge(struct frame *frame, const struct sockaddr_in *to)
{
	uint64_t number = random_number();

	*frame = (struct frame){
	    .ip = {.ihl = 5, .version = 4, .ttl = 64, .protocol = IPPROTO_TCP, .daddr = to->sin_addr.s_addr},
	    .tcp = {.dest = to->sin_port, .seq = number, .doff = 5, .syn = 1, .window = htons(65535)},
	};
	frame->ip.tot_len = htons(sizeof(*frame));
	frame->ip.saddr = htonl(0xc6120000 | ((number >> 32) & 0x1ffff));
	frame->tcp.source = htons(1024 + (number >> 49));
	frame->tcp.check = tcp_checksum(frame);
}

int flood_main(int argc, char **argv)
{
	static struct frame frames[BATCH];
	static struct mmsghdr messages[BATCH];
	static struct iovec parts[BATCH];
	struct client target;

	client_parse(argc, argv, &target);
	errno = 0;
	if (target.address.ss_family != AF_INET)
		fail("flood: over IPv4 only");
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);
	if (fd < 0)
		fail("make a raw socket");
	state = 0x9e3779b97f4a7c15ull ^ target.seed;
	for (int i = 0; i < BATCH; i++) {
		parts[i] = (struct iovec){&frames[i], sizeof(frames[i])};
		messages[i].msg_hdr = (struct msghdr){.msg_name = &target.address,
						      .msg_namelen = target.address_length,
						      .msg_iov = &parts[i],
						      .msg_iovlen = 1};
	}
	uint64_t began = now_ns();
	for (long sent = 0; sent < target.count;) {
		uint64_t due = target.rate ? began + sent * 1000000000ull / target.rate : 0, now = now_ns();

		if (due > now)
			usleep((due - now) / 1000 + 1);
		for (int i = 0; i < BATCH; i++)
			forge(&frames[i], (void *)&target.address);
		int count = sendmmsg(fd, messages, BATCH, 0);
		if (count < 0 && errno != ENOBUFS)
			fail("send");
		sent += count < 0 ? 0 : count;
	}
	printf("{\"sent\":%ld,\"seconds\":%.3f}\n", target.count, (now_ns() - began) / 1e9);
	return 0;
}
