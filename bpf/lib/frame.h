/*
 * A frame at XDP: written in place, once all is decided. What a packet was is in `arrived` of its context, what it
 * becomes in `tuple`. Headers are the fixed ones, without options or extensions, so that they stand at known places.
 */
#pragma once
#include "ndp.h"
#include "packet.h"

/* Both addresses, and with them both ports: the beginning of struct tuple. */
#define TUPLE_ADDRESSES_BYTES 32
#define TUPLE_ENDS_BYTES 36
_Static_assert(__builtin_offsetof(struct tuple, source_port) == TUPLE_ADDRESSES_BYTES,
	       "the ports follow the addresses");
_Static_assert(__builtin_offsetof(struct tuple, protocol) == TUPLE_ENDS_BYTES, "the protocol follows the ports");

/* Where a device finds the sum that it has to finish. */
static __always_inline __u32 frame_checksum_offset(const struct packet *packet)
{
	return packet->tuple.protocol == IPPROTO_TCP ? __builtin_offsetof(struct tcphdr, check)
						     : __builtin_offsetof(struct udphdr, check);
}

/* Not complemented, as all sums here: of what the transport's checksum is over besides the transport's own bytes. */
static __always_inline __u32 frame_pseudo_sum(const struct packet *packet, const struct tuple *tuple)
{
	__u32 length = packet->end_offset - packet->transport_offset;

	return checksum_add(tuple, TUPLE_ADDRESSES_BYTES, bpf_htons(tuple->protocol) + bpf_htons(length));
}

/*
 * Within a machine, between virtual devices, the transport's checksum is left to the device that the packet leaves by:
 * until then the pseudo-header's sum stands in its place (CHECKSUM_PARTIAL), and so it does in what GRO has merged. A
 * socket buffer knows that, a frame does not. Of true checksums one in 65,536 looks the same; TC serves it as well.
 */
static __always_inline bool frame_is_unfinished(struct xdp_md *frame, const struct packet *packet)
{
	__be16 check;

	if (!packet_load(frame, packet->transport_offset + frame_checksum_offset(packet), &check, sizeof(check)))
		return true;
	return check == (__u16)~checksum_fold(frame_pseudo_sum(packet, &packet->arrived));
}

/* Together with its pseudo-header, all behind the network header sums to nothing. */
static __always_inline bool frame_has_sum(struct xdp_md *frame, const struct packet *packet)
{
	__be16 check;

	return packet->end_offset == buffer_length(frame) &&
	       packet_load(frame, packet->transport_offset + frame_checksum_offset(packet), &check, sizeof(check)) &&
	       check != 0;
}

static __always_inline bool frame_write_ipv4(void *network, void *end, const struct packet *packet)
{
	struct iphdr *header = network;
	__u32 sum;

	if ((void *)(header + 1) > end)
		return false;
	sum = (__u32)bpf_csum_diff((__be32 *)&packet->arrived, TUPLE_ADDRESSES_BYTES, (__be32 *)&packet->tuple,
				   TUPLE_ADDRESSES_BYTES, (__u16)~header->check);
	header->saddr = packet->tuple.source.words[3];
	header->daddr = packet->tuple.destination.words[3];
	/* The TTL is the upper byte of its word: one less of it. */
	header->check = checksum_fold((sum & 0xffff) + (sum >> 16) + (__u16)~bpf_htons(0x0100));
	header->ttl--;
	return true;
}

static __always_inline bool frame_write_ipv6(void *network, void *end, const struct packet *packet)
{
	struct ipv6hdr *header = network;

	if ((void *)(header + 1) > end)
		return false;
	__builtin_memcpy(&header->saddr, &packet->tuple.source, sizeof(header->saddr));
	__builtin_memcpy(&header->daddr, &packet->tuple.destination, sizeof(header->daddr));
	header->hop_limit--;
	return true;
}

static __always_inline bool frame_write_transport(void *transport, void *end, const struct packet *packet)
{
	bool is_tcp = packet->tuple.protocol == IPPROTO_TCP;
	__be16 *ports = transport, *check;

	if (is_tcp) {
		if (transport + sizeof(struct tcphdr) > end)
			return false;
		check = &((struct tcphdr *)transport)->check;
	} else {
		if (transport + sizeof(struct udphdr) > end)
			return false;
		check = &((struct udphdr *)transport)->check;
	}
	ports[0] = packet->tuple.source_port;
	ports[1] = packet->tuple.destination_port;
	/* UDP over IPv4 may have none. */
	if (!is_tcp && *check == 0)
		return true;
	*check = checksum_fold((__u32)bpf_csum_diff((__be32 *)&packet->arrived, TUPLE_ENDS_BYTES,
						    (__be32 *)&packet->tuple, TUPLE_ENDS_BYTES, (__u16) ~*check));
	if (!is_tcp && *check == 0)
		*check = 0xffff;
	return true;
}

/* All that is written lies in the first page, or TC's program has the packet. */
static __always_inline bool frame_holds_headers(const struct xdp_md *frame, const struct packet *packet)
{
	return (__u64)frame->data_end - frame->data >= packet->transport_offset + sizeof(struct tcphdr) ||
	       (packet->tuple.protocol == IPPROTO_UDP &&
		(__u64)frame->data_end - frame->data >= packet->transport_offset + sizeof(struct udphdr));
}

/*
 * A driver's notes in front of the frame, which would be moved over headers that are put there, or are to stay. Where a
 * driver has no room for any, they begin behind the frame's beginning (xdp_set_data_meta_invalid).
 */
static __always_inline bool frame_has_metadata(const struct xdp_md *frame)
{
	return frame->data_meta < frame->data;
}

/* Behind `outer` bytes of a tunnel's headers. 0: not as frame_holds_headers has found it. */
__noinline int frame_write(struct xdp_md *frame, const struct packet *packet, __u32 outer)
{
	void *network, *end;

	if (!packet || outer > 0xff)
		return 0;
	network = (void *)(long)frame->data + outer + NETWORK_OFFSET;
	end = (void *)(long)frame->data_end;
	if (packet_is_ipv4(packet))
		return frame_write_ipv4(network, end, packet) &&
		       frame_write_transport(network + sizeof(struct iphdr), end, packet);
	return frame_write_ipv6(network, end, packet) &&
	       frame_write_transport(network + sizeof(struct ipv6hdr), end, packet);
}

static __always_inline bool frame_write_macs(struct xdp_md *frame, const struct bpf_fib_lookup *fib)
{
	struct ethhdr *header = (void *)(long)frame->data;

	if ((void *)(header + 1) > (void *)(long)frame->data_end)
		return false;
	__builtin_memcpy(header->h_dest, fib->dmac, ETH_ALEN);
	__builtin_memcpy(header->h_source, fib->smac, ETH_ALEN);
	return true;
}
