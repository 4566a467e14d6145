/*
 * VXLAN by hand (RFC 7348), for XDP, where no device does it: what the device of the other node takes for its own, and
 * what that device sends. The VNI is an identity (encap.h).
 *
 * UDP's checksum, which IPv6 needs, is over the whole packet. It is neither computed nor verified over the inner
 * payload: together with its pseudo-header the inner transport sums to nothing by its own checksum, so only headers are
 * summed (local checksum offload, as Linux does it). Whoever damages the payload is found out by the inner checksum.
 */
#pragma once
#include "frame.h"
#include "maglev.h"
#include "tunnel.h"

struct vxlan_header {
	__be32 flags;
	__be32 vni;
};

#define VXLAN_FLAG_VNI bpf_htonl(0x08000000)

struct vxlan_udp {
	struct udphdr udp;
	struct vxlan_header vxlan;
};

/* Of all headers around the inner packet. */
static __always_inline __u32 vxlan_length(bool is_ipv4)
{
	return sizeof(struct ethhdr) + (is_ipv4 ? sizeof(struct iphdr) : sizeof(struct ipv6hdr)) +
	       sizeof(struct vxlan_udp);
}

/* The range that RFC 7348 5 recommends for the source port. */
#define VXLAN_PORT_MIN 49152
#define VXLAN_PORT_COUNT 16384

#define ECN_MASK 3
#define ECN_ECT_0 2
#define ECN_CE 3

/* What an outer header says of congestion (RFC 6040 4.1, the compatibility mode that Linux has). */
static __always_inline __u8 vxlan_ecn(__u8 inner)
{
	return (inner & ECN_MASK) == ECN_CE ? ECN_ECT_0 : inner & ECN_MASK;
}

/* One for each connection: links and CPUs are chosen by it. */
static __always_inline __be16 vxlan_source_port(const struct packet *packet)
{
	__u32 ports = packet->arrived.source_port | (__u32)packet->arrived.destination_port << 16;
	__u32 hash = hash_client(&packet->arrived.source, ports, packet->arrived.protocol, 0);

	return bpf_htons(VXLAN_PORT_MIN + hash % VXLAN_PORT_COUNT);
}

static __always_inline void vxlan_fill_udp(struct vxlan_udp *header, const struct packet *packet, __u32 length)
{
	header->udp.source = vxlan_source_port(packet);
	header->udp.dest = config_tunnel_port;
	header->udp.len = bpf_htons(sizeof(*header) + length);
	header->udp.check = 0;
	header->vxlan.flags = VXLAN_FLAG_VNI;
	header->vxlan.vni = bpf_htonl(packet->source_identity << 8);
}

static __always_inline void vxlan_fill_ethernet(struct ethhdr *header, const struct bpf_fib_lookup *fib, __be16 type)
{
	__builtin_memcpy(header->h_dest, fib->dmac, ETH_ALEN);
	__builtin_memcpy(header->h_source, fib->smac, ETH_ALEN);
	header->h_proto = type;
}

/* Adds the inner Ethernet and network headers, and what the transport sums to. False: they are not there. */
static __always_inline bool vxlan_add_inner(struct xdp_md *frame, const struct packet *packet, __u32 outer, __u32 *sum)
{
	struct ethhdr *ethernet = (void *)(long)frame->data + outer;
	void *end = (void *)(long)frame->data_end, *network = ethernet + 1;

	if (network + sizeof(struct iphdr) > end)
		return false;
	*sum = checksum_add(ethernet, 2 * ETH_ALEN, *sum);
	if (packet_is_ipv4(packet)) {
		*sum = checksum_add(network, sizeof(struct iphdr), *sum);
	} else {
		if (network + sizeof(struct ipv6hdr) > end)
			return false;
		*sum = checksum_add(network, sizeof(struct ipv6hdr), *sum);
	}
	/* Of the pseudo-header the complement: the transport makes up for it. */
	*sum = (*sum & 0xffff) + (*sum >> 16) + ethernet->h_proto +
	       checksum_fold(frame_pseudo_sum(packet, &packet->tuple));
	return true;
}

/* TOS or traffic class; the caller has seen that an IPv4 header is there, which is the shorter one. */
static __always_inline __u8 vxlan_inner_class(const struct ethhdr *inner)
{
	const void *network = inner + 1;

	if (inner->h_proto == bpf_htons(ETH_P_IP))
		return ((const struct iphdr *)network)->tos;
	return bpf_ntohl(*(const __be32 *)network) >> 20;
}

static __always_inline bool vxlan_put_ipv4(struct xdp_md *frame, const struct packet *packet,
					   const struct bpf_fib_lookup *fib, const struct address *node)
{
	struct ethhdr *ethernet = (void *)(long)frame->data, *inner;
	struct iphdr *header = (void *)(ethernet + 1);
	struct vxlan_udp *transport = (void *)(header + 1);
	__u32 length = buffer_length(frame) - vxlan_length(true);
	struct address source = config_underlay_ipv4;

	inner = (void *)(transport + 1);
	if ((void *)(inner + 1) + sizeof(struct iphdr) > (void *)(long)frame->data_end)
		return false;
	vxlan_fill_ethernet(ethernet, fib, bpf_htons(ETH_P_IP));
	*header = (struct iphdr){
	    .version = 4,
	    .ihl = sizeof(*header) / 4,
	    .tos = vxlan_ecn(vxlan_inner_class(inner)),
	    .tot_len = bpf_htons(sizeof(*header) + sizeof(*transport) + length),
	    /* As the device has it, routers may fragment it: datagrams are told apart. */
	    .id = bpf_get_prandom_u32(),
	    .ttl = TUNNEL_TTL,
	    .protocol = IPPROTO_UDP,
	    .saddr = source.words[3],
	    .daddr = node->words[3],
	};
	header->check = checksum_fold(checksum_add(header, sizeof(*header), 0));
	vxlan_fill_udp(transport, packet, length);
	return true;
}

static __always_inline bool vxlan_put_ipv6(struct xdp_md *frame, const struct packet *packet,
					   const struct bpf_fib_lookup *fib, const struct address *node)
{
	struct ethhdr *ethernet = (void *)(long)frame->data, *inner;
	struct ipv6hdr *header = (void *)(ethernet + 1);
	struct vxlan_udp *transport = (void *)(header + 1);
	__u32 length = buffer_length(frame) - vxlan_length(false), sum;
	struct address source = config_underlay_ipv6;

	inner = (void *)(transport + 1);
	if ((void *)(inner + 1) + sizeof(struct iphdr) > (void *)(long)frame->data_end)
		return false;
	vxlan_fill_ethernet(ethernet, fib, bpf_htons(ETH_P_IPV6));
	*(__be32 *)header = bpf_htonl(6u << 28 | (__u32)vxlan_ecn(vxlan_inner_class(inner)) << 20);
	header->payload_len = bpf_htons(sizeof(*transport) + length);
	header->nexthdr = IPPROTO_UDP;
	header->hop_limit = TUNNEL_TTL;
	__builtin_memcpy(&header->saddr, &source, sizeof(source));
	__builtin_memcpy(&header->daddr, node, sizeof(*node));
	vxlan_fill_udp(transport, packet, length);
	sum = checksum_add(&header->saddr, TUPLE_ADDRESSES_BYTES, bpf_htons(IPPROTO_UDP) + header->payload_len);
	sum = checksum_add(transport, sizeof(*transport), sum);
	if (!vxlan_add_inner(frame, packet, vxlan_length(false), &sum))
		return false;
	transport->udp.check = checksum_fold(sum);
	if (transport->udp.check == 0)
		transport->udp.check = 0xffff;
	return true;
}

/* What came by the tunnel, besides the packet inside. */
struct vxlan_arrival {
	struct address node;
	__u32 identity;
	/* Of UDP's checksum the part outside of the inner packet; that is 0 where there is none. */
	__u32 sum;
	bool has_sum;
	__u8 reserved[3];
};

/* Of IPv4, whose header nobody else verifies; and of both: RFC 6040 would have the inner mark changed, or it dropped.
 */
static __always_inline bool vxlan_take_network(struct xdp_md *frame, const struct packet *packet)
{
	void *network = (void *)(long)frame->data + NETWORK_OFFSET, *end = (void *)(long)frame->data_end;
	struct iphdr *ipv4 = network;
	__u8 ecn;

	if (network + sizeof(struct iphdr) > end)
		return false;
	ecn = vxlan_inner_class(network - sizeof(struct ethhdr)) & ECN_MASK;
	if (ecn != 0 && ecn != ECN_ECT_0)
		return false;
	return !packet_is_ipv4(packet) || checksum_fold(checksum_add(ipv4, sizeof(*ipv4), 0)) == 0;
}

/* Reads what stands around the inner packet. False: not as nodes send it, or more than the outer packet holds. */
static __always_inline bool vxlan_take(struct xdp_md *frame, const struct packet *packet, struct vxlan_arrival *arrival)
{
	__u32 length = packet->end_offset - packet->transport_offset;
	struct vxlan_udp header;

	if (!packet_load(frame, packet->transport_offset, &header, sizeof(header)) ||
	    header.vxlan.flags != VXLAN_FLAG_VNI || (header.vxlan.vni & bpf_htonl(0xff)) != 0 ||
	    bpf_ntohs(header.udp.len) != length || buffer_length(frame) != packet->end_offset ||
	    !vxlan_take_network(frame, packet))
		return false;
	arrival->node = packet->tuple.source;
	arrival->identity = bpf_ntohl(header.vxlan.vni) >> 8;
	arrival->has_sum = header.udp.check != 0;
	arrival->sum = checksum_add(&header, sizeof(header), frame_pseudo_sum(packet, &packet->tuple));
	/* UDP over IPv6 has one (RFC 8200 8.1). */
	return arrival->has_sum || packet_is_ipv4(packet);
}

/* Before the inner packet is changed: is it what its outer checksum says? */
static __always_inline bool vxlan_is_sound(struct xdp_md *frame, const struct packet *packet,
					   const struct vxlan_arrival *arrival)
{
	__u32 sum = arrival->sum;

	return !arrival->has_sum ||
	       (frame_has_sum(frame, packet) && vxlan_add_inner(frame, packet, 0, &sum) && checksum_fold(sum) == 0);
}
