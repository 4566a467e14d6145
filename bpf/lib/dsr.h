/*
 * Direct server return (DSR): who comes to a way in keeps his address, and the backend's node answers him itself, as
 * the frontend. The asked node translates the destination only, and tells the backend's node inside the tunnel which
 * frontend the client named (dsr_option.h): in each datagram, whose socket may name several, and of TCP in each SYN,
 * and about once a second where there is room, so that a node that has forgotten learns it again. The backend's node
 * takes the option out, and the connection that it remembers does the rest, as if the client had come to it.
 *
 * Believed is what another node tells of who is in the world. Whoever else sends the option into a tunnel is refused at
 * its near end; where nobody reads it, it is no more than an option that IP does not know.
 */
#pragma once
#include "conntrack.h"
#include "dsr_option.h"
#include "identity.h"
#include "ndp.h"

#define DSR_IPV4_HEADER_MAX 60
/* RFC 8200 5: no link takes less, and nobody can be told to send less. */
#define DSR_IPV6_MTU_MIN 1280

static __always_inline bool dsr_has_room(const struct packet *packet)
{
	/* Later fragments are of a connection that is there already. */
	if (!packet_is_ipv4(packet) || packet->fragment == FRAGMENT_LATER)
		return true;
	return packet->transport_offset - NETWORK_OFFSET + sizeof(struct dsr_option_ipv4) <= DSR_IPV4_HEADER_MAX;
}

/* Whose address pods know answers are led back to as ever: DSR is for who is in the world, and has come by the network.
 */
static __always_inline bool dsr_is_for(const struct packet *packet)
{
	return packet->wants_dsr && packet->trace_point == TRACE_POINT_FROM_NETWORK &&
	       packet->source_identity == IDENTITY_WORLD && dsr_has_room(packet);
}

static __always_inline bool dsr_must_tell(const struct packet *packet)
{
	if (!packet->is_one_way || packet->is_icmp_error || packet->fragment == FRAGMENT_LATER)
		return false;
	return packet->tuple.protocol == IPPROTO_UDP || packet->ct_status == CT_STATUS_NEW || packet_is_syn(packet);
}

/* `mtu` of the tunnel, 0: any. What fits beside the option. */
static __always_inline __u32 dsr_mtu_left(const struct packet *packet, __u32 mtu)
{
	__u32 length = dsr_option_length(packet);

	return mtu > length ? mtu - length : mtu;
}

/* Decides which way answers will go, and whether the packet tells. Returns what fits then; `mtu` as above. */
static __always_inline __u32 dsr_decide(struct __sk_buff *skb, struct packet *packet, __u32 mtu)
{
	__u32 left = dsr_mtu_left(packet, mtu);

	if (packet->ct_status == CT_STATUS_NEW && !packet->is_icmp_error)
		packet->is_one_way = dsr_is_for(packet);
	if (dsr_must_tell(packet)) {
		packet->tells = 1;
		/* Outside the packet may be cut: we do not forbid it. */
		return !packet_is_ipv4(packet) && left != 0 && left < DSR_IPV6_MTU_MIN ? DSR_IPV6_MTU_MIN : left;
	}
	packet->tells = packet->may_tell && !packet->is_icmp_error && packet->fragment == FRAGMENT_NONE &&
			skb->gso_size == 0 && dsr_has_room(packet) && (left == 0 || packet->wire_length <= left);
	return mtu;
}

/* Datagrams that are still one large packet keep the size to which they will be cut. */
static __always_inline bool dsr_resize(struct __sk_buff *skb, __s32 difference)
{
	return bpf_skb_adjust_room(skb, difference, BPF_ADJ_ROOM_NET,
				   BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_NO_CSUM_RESET) == 0;
}

/* A sum that the device has computed over all bytes (CHECKSUM_COMPLETE) follows. */
static __always_inline bool dsr_store(struct __sk_buff *skb, __u32 offset, const void *from, __u32 length)
{
	return bpf_skb_store_bytes(skb, offset, from, length, BPF_F_RECOMPUTE_CSUM) == 0;
}

/* `sum`: of what comes into the header, or, negated, of what leaves it, from the header's own on. */
static __always_inline void dsr_set_ipv4_length(struct iphdr *header, __u32 words, __u32 length, __u32 sum)
{
	__be32 before = *(__be32 *)header;

	header->ihl = words;
	header->tot_len = bpf_htons(length);
	header->check =
	    checksum_fold((__u32)bpf_csum_diff(&before, sizeof(before), (__be32 *)header, sizeof(before), sum));
}

static __always_inline bool dsr_put_ipv4(struct __sk_buff *skb, const struct packet *packet)
{
	struct dsr_option_ipv4 option = {
	    .type = DSR_IPV4_OPTION,
	    .length = sizeof(option),
	    .port = packet->frontend.port,
	    .address = packet->frontend.address.words[3],
	};
	struct iphdr header;
	__u32 length;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)))
		return false;
	length = bpf_ntohs(header.tot_len) + sizeof(option);
	if (header.tot_len == 0 || length > 0xffff)
		return false;
	dsr_set_ipv4_length(&header, header.ihl + sizeof(option) / 4, length,
			    checksum_add(&option, sizeof(option), (__u16)~header.check));
	return dsr_resize(skb, sizeof(option)) && dsr_store(skb, NETWORK_OFFSET, &header, sizeof(header)) &&
	       dsr_store(skb, DSR_IPV4_OFFSET, &option, sizeof(option));
}

static __always_inline bool dsr_put_ipv6(struct __sk_buff *skb, const struct packet *packet)
{
	struct dsr_option_ipv6 option = {
	    .header_length = sizeof(option) / 8 - 1,
	    .type = DSR_IPV6_OPTION,
	    .length = sizeof(option.address) + sizeof(option.port),
	    .address = packet->frontend.address,
	    .port = packet->frontend.port,
	    .pad_type = IPV6_PAD_N,
	};
	struct ipv6hdr header;
	__u32 length;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)))
		return false;
	length = bpf_ntohs(header.payload_len) + sizeof(option);
	if (header.payload_len == 0 || length > 0xffff)
		return false;
	option.next = header.nexthdr;
	header.nexthdr = IPPROTO_DSTOPTS;
	header.payload_len = bpf_htons(length);
	return dsr_resize(skb, sizeof(option)) && dsr_store(skb, NETWORK_OFFSET, &header, sizeof(header)) &&
	       dsr_store(skb, DSR_IPV6_OFFSET, &option, sizeof(option));
}

/* The asked node's last step, behind which nothing knows any more where headers stand. */
__noinline verdict_t dsr_tell(struct __sk_buff *skb, struct packet *packet)
{
	struct connection *connection;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!packet->tells)
		return VERDICT_CONTINUE;
	connection = packet->may_tell ? ct_entry(&packet->tuple) : NULL;
	if (connection && !config_dry_run)
		connection->told = ct_told_now(bpf_ktime_get_ns());
	if (!dsr_has_room(packet) || !(packet_is_ipv4(packet) ? dsr_put_ipv4(skb, packet) : dsr_put_ipv6(skb, packet)))
		return drop(packet, DROP_REASON_ENCAP_FAILED);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t dsr_take_ipv4(struct __sk_buff *skb, struct packet *packet)
{
	struct dsr_option_ipv4 option;
	struct iphdr header;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)) ||
	    !packet_load(skb, DSR_IPV4_OFFSET, &option, sizeof(option)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	if (option.length != sizeof(option) || packet->transport_offset < DSR_IPV4_OFFSET + sizeof(option))
		return drop(packet, DROP_REASON_FORGED_DSR_OPTION);
	dsr_set_ipv4_length(&header, header.ihl - sizeof(option) / 4, bpf_ntohs(header.tot_len) - sizeof(option),
			    (__u32)bpf_csum_diff((__be32 *)&option, sizeof(option), NULL, 0, (__u16)~header.check));
	packet->frontend.address = address_from_ipv4(option.address);
	packet->frontend.port = option.port;
	if (!dsr_store(skb, NETWORK_OFFSET, &header, sizeof(header)) || !dsr_resize(skb, -(__s32)sizeof(option)))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return VERDICT_CONTINUE;
}

static __always_inline verdict_t dsr_take_ipv6(struct __sk_buff *skb, struct packet *packet)
{
	struct dsr_option_ipv6 option;
	struct ipv6hdr header;

	if (!packet_load(skb, NETWORK_OFFSET, &header, sizeof(header)) ||
	    !packet_load(skb, DSR_IPV6_OFFSET, &option, sizeof(option)))
		return drop(packet, DROP_REASON_INVALID_PACKET);
	if (option.header_length != sizeof(option) / 8 - 1 || address_is_ipv4(&option.address))
		return drop(packet, DROP_REASON_FORGED_DSR_OPTION);
	header.nexthdr = option.next;
	header.payload_len = bpf_htons(bpf_ntohs(header.payload_len) - sizeof(option));
	packet->frontend.address = option.address;
	packet->frontend.port = option.port;
	if (!dsr_store(skb, NETWORK_OFFSET, &header, sizeof(header)) || !dsr_resize(skb, -(__s32)sizeof(option)))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return VERDICT_CONTINUE;
}

/* The backend's node: reads the option and takes it out. `frontend` is what the asked node's client named. */
__noinline verdict_t dsr_take(struct __sk_buff *skb, struct packet *packet)
{
	__u32 length;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!packet->has_dsr_option)
		return VERDICT_CONTINUE;
	if (packet->source_identity != IDENTITY_WORLD)
		return drop(packet, DROP_REASON_FORGED_DSR_OPTION);
	STEP(packet_is_ipv4(packet) ? dsr_take_ipv4(skb, packet) : dsr_take_ipv6(skb, packet));
	if (tuple_end_is_none(&packet->frontend))
		return drop(packet, DROP_REASON_FORGED_DSR_OPTION);
	length = dsr_option_length(packet);
	packet->transport_offset -= length;
	packet->end_offset -= length;
	packet->wire_length -= length;
	packet->has_dsr_option = 0;
	packet->is_told = 1;
	return VERDICT_CONTINUE;
}
