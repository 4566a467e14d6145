/* Parsing: fills the packet context, and refuses what no sender means. */
#pragma once
#include "dsr_option.h"
#include "extension.h"
#include "fragment.h"
#include "packet.h"

static __always_inline verdict_t packet_parse_ethernet(buffer_t *buffer, struct packet *packet)
{
	struct ethhdr header;

	if (!packet_load(buffer, 0, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	__builtin_memcpy(&packet->destination_mac, header.h_dest, sizeof(struct mac));
	__builtin_memcpy(&packet->source_mac, header.h_source, sizeof(struct mac));
	packet->ethertype = header.h_proto;
	if (buffer_has_vlan(buffer))
		return drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_ipv4(buffer_t *buffer, struct packet *packet)
{
	struct iphdr header;
	__u32 header_length, total_length, available = buffer_length(buffer) - NETWORK_OFFSET;
	__u16 fragment;

	if (!packet_load(buffer, NETWORK_OFFSET, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	header_length = header.ihl * 4;
	total_length = bpf_ntohs(header.tot_len);
	/* BIG TCP (6.3) writes 0 for a GSO packet of more than 64 KiB. */
	if (total_length == 0 && buffer_gso_size(buffer) != 0)
		total_length = available;
	if (header.version != 4 || header_length < sizeof(header) || total_length < header_length ||
	    total_length > available)
		return drop(packet, DROP_REASON_INVALID_PACKET);

	fragment = bpf_ntohs(header.frag_off);
	if (fragment & IPV4_FRAGMENT_OFFSET)
		packet->fragment = FRAGMENT_LATER;
	else if (fragment & IPV4_MORE_FRAGMENTS)
		packet->fragment = FRAGMENT_FIRST;
	packet->fragment_id = header.id;
	packet->dont_fragment = (fragment & IPV4_DONT_FRAGMENT) != 0;
	packet->tuple.source = address_from_ipv4(header.saddr);
	packet->tuple.destination = address_from_ipv4(header.daddr);
	packet->tuple.protocol = header.protocol;
	packet->hop_limit = header.ttl;
	packet->transport_offset = NETWORK_OFFSET + header_length;
	packet->end_offset = NETWORK_OFFSET + total_length;
	packet->has_dsr_option = header_length > sizeof(header) && dsr_option_is_in_ipv4(buffer);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_ipv6_extensions(buffer_t *buffer, struct packet *packet)
{
	struct ipv6_extension extension;
	__u8 protocol = packet->tuple.protocol;

	for (int i = 0; i <= IPV6_EXTENSIONS_MAX; i++) {
		if (!ipv6_is_extension(protocol) || packet->fragment == FRAGMENT_LATER) {
			packet->tuple.protocol = protocol;
			return VERDICT_CONTINUE;
		}
		if (!packet_load(buffer, packet->transport_offset, &extension, sizeof(extension)))
			return drop(packet, DROP_REASON_INVALID_PACKET);
		if (protocol == IPPROTO_FRAGMENT) {
			packet->fragment_id = extension.fragment_id;
			if (extension.fragment_offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
				packet->fragment = FRAGMENT_LATER;
			else if (extension.fragment_offset & bpf_htons(IPV6_MORE_FRAGMENTS))
				packet->fragment = FRAGMENT_FIRST;
		}
		packet->transport_offset += ipv6_extension_length(protocol, &extension);
		protocol = extension.next;
		if (packet->transport_offset > packet->end_offset)
			return drop(packet, DROP_REASON_INVALID_PACKET);
	}
	return drop(packet, DROP_REASON_UNKNOWN_PROTOCOL);
}

static __always_inline verdict_t packet_parse_ipv6(buffer_t *buffer, struct packet *packet)
{
	struct ipv6hdr header;
	__u32 available = buffer_length(buffer) - NETWORK_OFFSET, total_length;

	if (!packet_load(buffer, NETWORK_OFFSET, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	total_length = sizeof(header) + bpf_ntohs(header.payload_len);
	/* A jumbogram of BIG TCP (5.19) has length 0; nobody else may send one to us. */
	if (header.payload_len == 0 && buffer_gso_size(buffer) != 0)
		total_length = available;
	if (header.version != 6 || total_length > available)
		return drop(packet, DROP_REASON_INVALID_PACKET);

	__builtin_memcpy(&packet->tuple.source, &header.saddr, sizeof(struct address));
	__builtin_memcpy(&packet->tuple.destination, &header.daddr, sizeof(struct address));
	packet->tuple.protocol = header.nexthdr;
	packet->dont_fragment = 1;
	packet->hop_limit = header.hop_limit;
	packet->transport_offset = NETWORK_OFFSET + sizeof(header);
	packet->end_offset = NETWORK_OFFSET + total_length;
	/* On the wire it would alias an IPv4 address in our maps (RFC 4942 2.2). */
	if (address_is_ipv4(&packet->tuple.source) || address_is_ipv4(&packet->tuple.destination))
		return drop(packet, DROP_REASON_MAPPED_ADDRESS);
	packet->has_dsr_option = header.nexthdr == IPPROTO_DSTOPTS && dsr_option_is_in_ipv6(buffer);
	return packet_parse_ipv6_extensions(buffer, packet);
}

/* The combinations that a TCP can send, PSH, ECE and CWR left aside: as the kernel's own conntrack has them. */
static __always_inline bool tcp_flags_are_valid(__u8 flags)
{
	switch (flags & (TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK | TCP_FLAG_URG)) {
	case TCP_FLAG_SYN:
	case TCP_FLAG_SYN | TCP_FLAG_URG:
	case TCP_FLAG_SYN | TCP_FLAG_ACK:
	case TCP_FLAG_RST:
	case TCP_FLAG_RST | TCP_FLAG_ACK:
	case TCP_FLAG_FIN | TCP_FLAG_ACK:
	case TCP_FLAG_FIN | TCP_FLAG_ACK | TCP_FLAG_URG:
	case TCP_FLAG_ACK:
	case TCP_FLAG_ACK | TCP_FLAG_URG:
		return true;
	}
	return false;
}

/* GSO segments repeat the headers, transport's included. */
static __always_inline void packet_measure(buffer_t *buffer, struct packet *packet, __u32 transport_length)
{
	packet->wire_length = packet->end_offset - NETWORK_OFFSET;
	if (buffer_gso_size(buffer) != 0 &&
	    packet->transport_offset - NETWORK_OFFSET + transport_length + buffer_gso_size(buffer) <
		packet->wire_length)
		packet->wire_length =
		    packet->transport_offset - NETWORK_OFFSET + transport_length + buffer_gso_size(buffer);
}

static __always_inline verdict_t packet_parse_tcp(buffer_t *buffer, struct packet *packet)
{
	/* Ports, sequence and acknowledgement numbers, data offset, flags. */
	struct {
		__be16 source;
		__be16 destination;
		__be32 numbers[2];
		__u8 data_offset;
		__u8 flags;
		__be16 window;
	} header;
	__u32 available = packet->end_offset - packet->transport_offset, length;

	if (available < sizeof(struct tcphdr) ||
	    !packet_load(buffer, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	length = (header.data_offset >> 4) * 4;
	if (length < sizeof(struct tcphdr) || (length > available && packet->fragment == FRAGMENT_NONE))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = header.source;
	packet->tuple.destination_port = header.destination;
	packet->tcp_flags = header.flags;
	packet_measure(buffer, packet, length);
	if (!tcp_flags_are_valid(header.flags))
		return drop(packet, DROP_REASON_INVALID_TCP_FLAGS);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_udp(buffer_t *buffer, struct packet *packet)
{
	struct udphdr header;
	__u32 available = packet->end_offset - packet->transport_offset, length;

	if (available < sizeof(header) || !packet_load(buffer, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	length = bpf_ntohs(header.len);
	/* The first fragment carries the length of the whole datagram. */
	if (length < sizeof(header) || (length > available && packet->fragment == FRAGMENT_NONE))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = header.source;
	packet->tuple.destination_port = header.dest;
	packet_measure(buffer, packet, sizeof(header));
	return VERDICT_CONTINUE;
}

/* Ports where TCP has them, then tag and checksum; nothing else of SCTP concerns us. */
static __always_inline verdict_t packet_parse_sctp(buffer_t *buffer, struct packet *packet)
{
	__be16 ports[2];

	if (packet->end_offset - packet->transport_offset < 12 ||
	    !packet_load(buffer, packet->transport_offset, ports, sizeof(ports)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->tuple.source_port = ports[0];
	packet->tuple.destination_port = ports[1];
	return VERDICT_CONTINUE;
}

static __always_inline void packet_classify_icmp(struct packet *packet, __be16 identifier)
{
	__u8 type = packet->icmp_type;
	bool is_ipv4 = packet_is_ipv4(packet);

	if (type == (is_ipv4 ? ICMP_ECHO : ICMPV6_ECHO_REQUEST))
		packet->tuple.source_port = identifier;
	else if (type == (is_ipv4 ? ICMP_ECHOREPLY : ICMPV6_ECHO_REPLY))
		packet->tuple.destination_port = identifier;
	else if (is_ipv4)
		packet->is_icmp_error = type == ICMP_DEST_UNREACH || type == ICMP_TIME_EXCEEDED ||
					type == ICMP_PARAMETERPROB || type == ICMP_SOURCE_QUENCH;
	else
		packet->is_icmp_error = type < 128; /* RFC 4443 2.1 */
}

static __always_inline verdict_t packet_parse_icmp(buffer_t *buffer, struct packet *packet)
{
	struct icmp_header header;

	if (packet->end_offset - packet->transport_offset < sizeof(header) ||
	    !packet_load(buffer, packet->transport_offset, &header, sizeof(header)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	packet->icmp_type = header.type;
	packet->icmp_code = header.code;
	packet_classify_icmp(packet, header.identifier);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_transport(buffer_t *buffer, struct packet *packet)
{
	__u8 protocol = packet->tuple.protocol;

	packet->wire_length = packet->end_offset - NETWORK_OFFSET;
	if (packet->fragment == FRAGMENT_LATER) {
		fragment_recall(packet);
		return VERDICT_CONTINUE;
	}
	if (protocol == IPPROTO_TCP)
		return packet_parse_tcp(buffer, packet);
	if (protocol == IPPROTO_UDP)
		return packet_parse_udp(buffer, packet);
	if (protocol == IPPROTO_SCTP)
		return packet_parse_sctp(buffer, packet);
	if (protocol == (packet_is_ipv4(packet) ? IPPROTO_ICMP : IPPROTO_ICMPV6))
		return packet_parse_icmp(buffer, packet);
	/* Kubernetes promises more than it names: other protocols pass between pods by their addresses. */
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t packet_parse_headers(buffer_t *buffer, struct packet *packet)
{
	STEP(packet_parse_ethernet(buffer, packet));
	if (packet->ethertype == bpf_htons(ETH_P_IP) && config_ipv4_enabled)
		STEP(packet_parse_ipv4(buffer, packet));
	else if (packet->ethertype == bpf_htons(ETH_P_IPV6) && config_ipv6_enabled)
		STEP(packet_parse_ipv6(buffer, packet));
	else if (packet->ethertype == bpf_htons(ETH_P_ARP) && config_ipv4_enabled)
		return VERDICT_CONTINUE;
	else
		return drop(packet, DROP_REASON_UNKNOWN_ETHERTYPE);
	STEP(packet_parse_transport(buffer, packet));
	packet->arrived = packet->tuple;
	return VERDICT_CONTINUE;
}

/* ARP continues with only the Ethernet part filled. */
__noinline verdict_t packet_parse(buffer_t *buffer, struct packet *packet)
{
	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	STEP(packet_parse_headers(buffer, packet));
	if (packet->fragment == FRAGMENT_FIRST)
		fragment_remember(packet);
	return VERDICT_CONTINUE;
}
