/*
 * Runs a command in a network namespace inside the pod, on a network stack of its own, as programs that bring their
 * own (slirp, gVisor, virtual machines) do. What it sends leaves the pod from the pod's address as raw packets, and
 * answers are taken from the wire. So the node sees packets that no socket of the pod has made.
 *
 * With --for ADDRESS, 198.18.0.1 (2001:2::1) in there is ADDRESS out here: connect() then asks for something that is no
 * service, and a service's address appears only on the wire. Answers from elsewhere are answers to nobody, as they
 * would be on a real stack; standard error tells of them.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "pod.h"
#include "tun.h"
#include "view.h"

#define PORTS_MAX 256
#define PEERS_MAX 64
#define FAMILIES 2
/* How soon the command's end is noticed. */
#define POLL_MS 5
/* Without a packet for so long, what the command has left is over. */
#define LINGER_MS 30
#define LINGER_MAX_MS 500

/* Addresses for benchmarks, which no cluster uses (RFC 2544, RFC 5180). */
static const char *const inner_text[FAMILIES] = {"198.18.0.2", "2001:2::2"};
static const char *const alias_text[FAMILIES] = {"198.18.0.1", "2001:2::1"};
/* Only looked up, never sent to (RFC 5737, RFC 3849). */
static const char *const elsewhere_text[FAMILIES] = {"192.0.2.1", "2001:db8::1"};

/* One for each family that the pod has. */
struct side {
	int is_used, sender;
	/* Of the pod, and of the command. */
	address_t outer, inner;
	/* Of --for, or anywhere; and what the command calls it. */
	address_t target, alias;
	int has_target;
};

static struct side sides[FAMILIES];
/* Of the pod's ports, for one that the command's stack has chosen without knowing of the pod's own sockets. */
static struct reservation {
	const struct side *side;
	uint8_t protocol;
	uint16_t inner, outer;
} reserved[PORTS_MAX];
static int reserved_count, peer_count;
static address_t peers[PEERS_MAX];
static int tun, wire;
static unsigned long strays;
static char stray_text[256];

static struct side *side_of(const uint8_t *packet, size_t length)
{
	size_t index = length && packet[0] >> 4 == 6;

	if (length < (index ? 40 : sizeof(struct iphdr)) || (packet[0] >> 4 != 4 && packet[0] >> 4 != 6))
		return NULL;
	return sides[index].is_used ? &sides[index] : NULL;
}

/* Keeps the pod's own stack from answering for a port that is ours: its socket is there and hears nothing. */
static uint16_t reserve_port(const struct side *side, uint8_t protocol, uint16_t wanted)
{
	struct sock_filter nothing[] = {BPF_STMT(BPF_RET | BPF_K, 0)};
	struct sock_fprog program = {1, nothing};
	address_t own = side->outer;
	struct sockaddr_in *bound = (void *)&own; /* The port lies at the same place in both families. */
	socklen_t length = address_length(&own);
	int is_tcp = protocol == IPPROTO_TCP;

	int fd = socket(own.ss_family, (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)))
		fail("reserve a port of the pod");
	bound->sin_port = htons(wanted);
	int is_taken = bind(fd, (void *)&own, length) && errno == EADDRINUSE;
	/* Somebody in the pod has it, or had it a moment ago: then any that is free. */
	bound->sin_port = 0;
	if ((is_taken && bind(fd, (void *)&own, length)) || (is_tcp && listen(fd, 1)) ||
	    getsockname(fd, (void *)&own, &length))
		fail("reserve the pod's port %u", wanted);
	return ntohs(bound->sin_port);
}

/* The pod's port for one of the command's. */
static uint16_t outer_port(const struct side *side, uint8_t protocol, uint16_t inner)
{
	for (int i = 0; i < reserved_count; i++)
		if (reserved[i].side == side && reserved[i].protocol == protocol && reserved[i].inner == inner)
			return reserved[i].outer;
	if (reserved_count == PORTS_MAX)
		return inner;
	uint16_t outer = reserve_port(side, protocol, inner);
	reserved[reserved_count++] = (struct reservation){side, protocol, inner, outer};
	return outer;
}

/* The command's port for one of the pod's, or NULL. */
static const uint16_t *inner_port(const struct side *side, uint8_t protocol, uint16_t outer)
{
	for (int i = 0; i < reserved_count; i++)
		if (reserved[i].side == side && reserved[i].protocol == protocol && reserved[i].outer == outer)
			return &reserved[i].inner;
	return NULL;
}

static int is_peer(const address_t *address)
{
	for (int i = 0; i < peer_count; i++)
		if (address_is_same(&peers[i], address))
			return 1;
	return 0;
}

/* From the command to the wire; 0 for what stays here, what its stack sends by itself (router solicitations, errors).
 */
static int send_out(uint8_t *packet, size_t length)
{
	struct side *side = side_of(packet, length);
	struct view view;

	if (!side || !view_packet(&view, packet, length) ||
	    memcmp(view.source, address_bytes(&side->inner), view.address_size))
		return 0;
	int is_icmp = view.protocol == IPPROTO_ICMP || view.protocol == IPPROTO_ICMPV6;
	if (is_icmp && view.is_first && view.payload[0] != ICMP_ECHO && view.payload[0] != ICMP6_ECHO_REQUEST)
		return 0;
	view_replace_address(&view, view.source, &side->outer);
	if (side->has_target && !memcmp(view.destination, address_bytes(&side->alias), view.address_size))
		view_replace_address(&view, view.destination, &side->target);
	address_t peer = address_from(view.family, view.destination);
	if (!is_peer(&peer) && peer_count < PEERS_MAX)
		peers[peer_count++] = peer;
	if (view_has_ports(&view))
		view_replace_port(&view, 0, outer_port(side, view.protocol, view_number(&view, 0)));
	if (sendto(side->sender, packet, length, 0, (void *)&peer, address_length(&peer)) < 0)
		fprintf(stderr, "ownstack: send a packet of %zu bytes: %s\n", length, strerror(errno));
	return 1;
}

static void note_stray(const struct view *view, const address_t *from)
{
	address_t shown = *from;
	char text[ADDRESS_TEXT];

	((struct sockaddr_in *)&shown)->sin_port = htons(view_number(view, 0));
	if (!strays++)
		snprintf(stray_text, sizeof(stray_text), "from %s to port %u", address_text(&shown, text),
			 view_number(view, 2));
}

/* An error is for the command when what it quotes is what we sent for it; the quote then gets the command's addresses.
 */
static int take_error(struct side *side, const struct view *view)
{
	struct view quoted;
	size_t length = view->payload_length - 8;
	uint8_t *quote = view->payload + 8;

	if (view->payload_length < 8 || side_of(quote, length) != side || !view_packet(&quoted, quote, length))
		return 0;
	address_t peer = address_from(quoted.family, quoted.destination);
	if (memcmp(quoted.source, address_bytes(&side->outer), quoted.address_size))
		return 0;
	const uint16_t *port =
	    view_has_ports(&quoted) ? inner_port(side, quoted.protocol, view_number(&quoted, 0)) : NULL;
	if (!is_peer(&peer)) {
		if (port && !strays++)
			host_text(&peer, strcpy(stray_text, "an error about packets to ") + strlen(stray_text));
		return 0;
	}
	memcpy(quoted.source, address_bytes(&side->inner), quoted.address_size);
	if (side->has_target && address_is_same(&peer, &side->target))
		memcpy(quoted.destination, address_bytes(&side->alias), quoted.address_size);
	if (port)
		view_replace_port(&quoted, 0, *port);
	packet_fill_header_checksum(quote);
	return 1;
}

/* Whether it is for the command: from somebody whom it has sent to, or about what it has sent. */
static int take(struct side *side, const struct view *view, const address_t *from)
{
	if (memcmp(view->destination, address_bytes(&side->outer), view->address_size))
		return 0;
	if (view_is_error(view))
		return view_checksum_is_right(view) && take_error(side, view);
	int is_for_us = !view_has_ports(view) || inner_port(side, view->protocol, view_number(view, 2));
	if (is_for_us && view_has_ports(view) && !is_peer(from))
		note_stray(view, from);
	return is_for_us && is_peer(from);
}

/* From the wire to the command. `lacks_checksum`: a local sender left it to a device that there never was. */
static int take_in(uint8_t *packet, size_t length, int lacks_checksum)
{
	struct side *side = side_of(packet, length);
	struct view view;

	if (!side || !view_packet(&view, packet, length))
		return 0;
	address_t from = address_from(view.family, view.source);
	int is_error = view_is_error(&view);
	if (!take(side, &view, &from))
		return 0;
	view_replace_address(&view, view.destination, &side->inner);
	const uint16_t *port = view_has_ports(&view) ? inner_port(side, view.protocol, view_number(&view, 2)) : NULL;
	if (port)
		view_replace_port(&view, 2, *port);
	if (side->has_target && address_is_same(&from, &side->target))
		view_replace_address(&view, view.source, &side->alias);
	if (is_error || (lacks_checksum && view_has_ports(&view) && !view.is_fragment))
		view_fill_checksum(&view);
	packet_fill_header_checksum(packet);
	if (write(tun, packet, length) < 0)
		fprintf(stderr, "ownstack: hand over a packet of %zu bytes: %s\n", length, strerror(errno));
	return 1;
}

static int read_wire(void)
{
	static uint8_t packet[1 << 19]; /* what the kernel has put together may be larger than a packet can be */
	char control[256];
	struct sockaddr_ll from;
	struct iovec part = {packet, sizeof(packet)};
	struct msghdr message = {.msg_name = &from,
				 .msg_namelen = sizeof(from),
				 .msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control)};
	ssize_t length = recvmsg(wire, &message, MSG_DONTWAIT);
	int lacks_checksum = 0;

	if (length <= 0 || from.sll_pkttype == PACKET_OUTGOING)
		return 0;
	for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
		const struct tpacket_auxdata *data = (void *)CMSG_DATA(c);

		if (c->cmsg_level == SOL_PACKET && c->cmsg_type == PACKET_AUXDATA)
			lacks_checksum = (data->tp_status & TP_STATUS_CSUMNOTREADY) != 0;
	}
	return take_in(packet, length, lacks_checksum);
}

static void open_side(int index, const address_t *target)
{
	struct side *side = &sides[index];
	address_t elsewhere;

	address_parse(elsewhere_text[index], 0, &elsewhere);
	side->has_target = target && target->ss_family == elsewhere.ss_family;
	side->target = side->has_target ? *target : elsewhere;
	if (!source_towards(&side->target, &side->outer))
		return;
	side->is_used = 1;
	side->sender = packet_sender(elsewhere.ss_family);
	address_parse(inner_text[index], 0, &side->inner);
	address_parse(alias_text[index], 0, &side->alias);
}

/* The least of those to where the command will send: none of its packets is too large for the pod's device. */
static int path_mtu(void)
{
	int least = PACKET_BYTES_MAX;

	for (int i = 0; i < FAMILIES; i++) {
		int mtu = sides[i].is_used ? mtu_towards(&sides[i].target) : least;
		least = mtu < least ? mtu : least;
	}
	return least;
}

static void open_wire(void)
{
	int yes = 1, room = 8 << 20;

	wire = socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, htons(ETH_P_ALL));
	if (wire < 0 || setsockopt(wire, SOL_PACKET, PACKET_AUXDATA, &yes, sizeof(yes)))
		fail("open a packet socket (it takes the capability NET_RAW)");
	setsockopt(wire, SOL_SOCKET, SO_RCVBUF, &room, sizeof(room));
}

static pid_t start(char **command)
{
	pid_t child = fork();

	if (child < 0)
		fail("fork");
	if (child)
		return child;
	execvp(command[0], command);
	fail("start %s", command[0]);
}

/* Whether it was the command's traffic that came within that time, from either side. */
static int carry(struct pollfd polled[2], int wait_ms)
{
	static uint8_t packet[PACKET_BYTES_MAX];
	int carried = 0;

	if (poll(polled, 2, wait_ms) <= 0)
		return 0;
	if (polled[0].revents) {
		ssize_t length = read(tun, packet, sizeof(packet));

		carried = length > 0 && send_out(packet, length);
	}
	if (polled[1].revents)
		carried |= read_wire();
	return carried;
}

static int has_ended(pid_t child, int *status)
{
	return waitpid(child, status, WNOHANG) == child;
}

/* The command's stack outlives it for a moment: connections that it has closed are brought to their end. */
static int carry_until_end(pid_t child)
{
	struct pollfd polled[] = {{.fd = tun, .events = POLLIN}, {.fd = wire, .events = POLLIN}};
	uint64_t ended_us, quiet_us;
	int status;

	while (!has_ended(child, &status))
		carry(polled, POLL_MS);
	ended_us = quiet_us = now_us();
	while (now_us() - quiet_us < LINGER_MS * 1000 && now_us() - ended_us < LINGER_MAX_MS * 1000)
		if (carry(polled, LINGER_MS))
			quiet_us = now_us();
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int ownstack_main(int argc, char **argv)
{
	int has_target = argc > 2 && !strcmp(argv[1], "--for"), first = has_target ? 3 : 1;
	address_t target = {0};

	if (argc < first + 2 || strcmp(argv[first], "--") || (has_target && !address_parse(argv[2], 0, &target))) {
		fprintf(stderr, "usage: ownstack [--for ADDRESS] -- COMMAND [ARGUMENT ...]\n"
				"  in the command, 198.18.0.1 (2001:2::1) stands for ADDRESS\n");
		return STATUS_USAGE;
	}
	open_wire();
	for (int i = 0; i < FAMILIES; i++)
		open_side(i, has_target ? &target : NULL);
	errno = 0;
	if (!sides[0].is_used && !sides[1].is_used)
		fail("the pod has no route to anywhere");
	int pod_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	tun =
	    tun_open(path_mtu(), sides[0].is_used ? &sides[0].inner : NULL, sides[1].is_used ? &sides[1].inner : NULL);
	pid_t child = start(argv + first + 1);
	/* From here on sockets are the pod's again: those that reserve ports. */
	if (pod_netns < 0 || setns(pod_netns, CLONE_NEWNET))
		fail("go back to the pod's network namespace");
	int status = carry_until_end(child);
	if (strays)
		fprintf(stderr, "ownstack: %lu packets came %s, whom the command has not asked\n", strays, stray_text);
	return status;
}
