/*
 * The packet context: what the steps know about a packet. `parse.h` fills it.
 *
 * Headers are copied to the stack by bpf_skb_load_bytes, never read in place: it reaches into fragments of GSO packets,
 * takes variable offsets (IPv4 options, IPv6 extension headers) and survives everything that moves the packet's data.
 *
 * packet_parse, ndp_answer_*, ct_*, nat_*, snat_*, drop_report and reject_answer are global functions: the verifier
 * checks each once, by itself. Inlined, what is known of each packet multiplies through all steps ("BPF program is too
 * large", 6.18). They take the socket buffer beside the context, because a context pointer must not be stored in
 * memory, and ask for NULL, because a global function's caller is anybody.
 */
#pragma once
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include "buffer.h"
#include "config.h"
#include "icmp.h"
#include "limits.h"
#include "map.h"
#include "tuple.h"
#include "verdict.h"

/* Every device that we hook is an Ethernet device, and VLAN tags are refused: the network header stands at a fixed
 * place. */
#define NETWORK_OFFSET ETH_HLEN

#define IPV4_FRAGMENT_OFFSET 0x1fff
#define IPV4_MORE_FRAGMENTS 0x2000
#define IPV4_DONT_FRAGMENT 0x4000

#define TCP_FLAG_FIN 0x01
#define TCP_FLAG_SYN 0x02
#define TCP_FLAG_RST 0x04
#define TCP_FLAG_ACK 0x10
#define TCP_FLAG_URG 0x20

enum fragment {
	FRAGMENT_NONE = 0,
	FRAGMENT_FIRST = 1,
	/* Without ports: the transport header was in the first. */
	FRAGMENT_LATER = 2,
};

struct packet {
	/* As the packet has it now: translations change it. */
	struct tuple tuple;
	/* As it came. */
	struct tuple arrived;
	/* The frontend that the sender named, where this packet was translated to a backend. */
	struct tuple_end frontend;
	/* The node that tunneled it to us. */
	struct address tunnel_sender;
	/* The frontend that a reply must come from. */
	struct tuple_end reply_source;
	/* The source that the packet's connection was given, where it is known already. */
	struct tuple_end given_source;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 endpoint_id;
	/* See drop(). */
	__u32 line;
	/* Of the transport header, and of the first byte behind the network packet. */
	__u32 transport_offset;
	__u32 end_offset;
	/* The largest network packet that this one becomes on the wire, GSO cut to size. */
	__u32 wire_length;
	/* What would have fit, where it is too big. */
	__u32 mtu;
	/* Of fragments: the identification that the datagram's fragments share, 16 bits of it in IPv4. */
	__be32 fragment_id;
	/* Chosen for a frontend; 0 without. */
	__u32 backend_id;
	__u32 generation;
	struct mac destination_mac;
	struct mac source_mac;
	__be16 ethertype;
	/* enum direction, seen from the pod */
	__u8 direction;
	/* enum trace_point */
	__u8 trace_point;
	/* enum fragment */
	__u8 fragment;
	/* TTL or hop limit */
	__u8 hop_limit;
	__u8 tcp_flags;
	__u8 icmp_type;
	__u8 icmp_code;
	/* An ICMP error speaks of another packet, whose beginning it carries. */
	__u8 is_icmp_error;
	__u8 dont_fragment;
	/* IPCACHE_FLAG_UNROUTABLE of the destination. */
	__u8 is_unroutable;
	/* enum ct_status */
	__u8 ct_status;
	/* A later fragment whose first one we have not seen. */
	__u8 lacks_ports;
	/* A first fragment, for which later ones wait. */
	__u8 has_waiting;
	/* For a service, from a client outside: who is not ours must not see its backends, nor they him elsewhere. */
	__u8 is_external;
	/* Its service wants DSR; and its connection has it: the backend's node answers the client itself (dsr.h). */
	__u8 wants_dsr;
	__u8 is_one_way;
	/* The backend's node should hear of the frontend again, where there is room; and this packet tells it. */
	__u8 may_tell;
	__u8 tells;
	/* Carries the option that tells; and it was believed. */
	__u8 has_dsr_option;
	__u8 is_told;
	/* The port that the connection was given in place of the client's own; and that one, once it is replaced. */
	__be16 given_port;
	__be16 client_port;
	/* The client's own port, where a reply does not come to it. */
	__be16 reply_port;
	/* The translated one of a former connection with the same tuple, which is over. 0: none is known. */
	__be16 former_port;
	__u8 reserved[6];
};

/*
 * [0]: the packet that this CPU is at. Not on the stack, which has 512 bytes for all calls together. Programs of one
 * CPU do not interrupt each other, and none starts another before it has returned.
 */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct packet);
} packets SEC(".maps");

/* Never NULL, which the verifier does not know. */
static __always_inline struct packet *packet_begin(enum direction direction, enum trace_point trace_point)
{
	__u32 zero = 0;
	struct packet *packet = bpf_map_lookup_elem(&packets, &zero);

	if (!packet)
		return NULL;
	__builtin_memset(packet, 0, sizeof(*packet));
	packet->direction = direction;
	packet->trace_point = trace_point;
	return packet;
}

static __always_inline bool packet_is_ipv4(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_IP);
}

static __always_inline bool packet_is_arp(const struct packet *packet)
{
	return packet->ethertype == bpf_htons(ETH_P_ARP);
}

static __always_inline bool packet_is_icmpv6(const struct packet *packet)
{
	return !packet_is_ipv4(packet) && packet->tuple.protocol == IPPROTO_ICMPV6 &&
	       packet->fragment != FRAGMENT_LATER;
}

static __always_inline bool packet_is_icmp(const struct packet *packet)
{
	return packet->tuple.protocol == (packet_is_ipv4(packet) ? IPPROTO_ICMP : IPPROTO_ICMPV6);
}

/* The first of a connection's packets; UDP has no flags. */
static __always_inline bool packet_is_syn(const struct packet *packet)
{
	return (packet->tcp_flags & (TCP_FLAG_SYN | TCP_FLAG_ACK)) == TCP_FLAG_SYN;
}

static __always_inline bool packet_is_echo_request(const struct packet *packet)
{
	return packet_is_icmp(packet) &&
	       packet->icmp_type == (packet_is_ipv4(packet) ? ICMP_ECHO : ICMPV6_ECHO_REQUEST);
}

/* TCP or UDP: what services have. */
static __always_inline bool packet_has_ports(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP || packet->tuple.protocol == IPPROTO_UDP;
}

/* False: the packet ends before. */
static __always_inline bool packet_load(const void *buffer, __u32 offset, void *to, __u32 length)
{
	return buffer_load(buffer, offset, to, length);
}
