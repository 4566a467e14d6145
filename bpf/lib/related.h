/*
 * ICMP errors: each quotes the beginning of a packet, and belongs to that packet's connection. What translation did to
 * that packet is undone in the quotation, so that the sender recognises it.
 */
#pragma once
#include "conntrack.h"
#include "extension.h"
#include "nat.h"

/* The packet that an error quotes, as it was when something befell it. */
struct quotation {
	struct tuple tuple;
	__u32 network_offset;
	__u32 transport_offset;
};

static __always_inline bool quotation_load_network(struct __sk_buff *skb, const struct packet *packet,
						   struct quotation *quotation)
{
	struct tuple *tuple = &quotation->tuple;

	quotation->network_offset = packet->transport_offset + sizeof(struct icmp_header);
	if (packet_is_ipv4(packet)) {
		struct iphdr header;

		if (!packet_load(skb, quotation->network_offset, &header, sizeof(header)) ||
		    (header.frag_off & bpf_htons(IPV4_FRAGMENT_OFFSET)))
			return false;
		tuple->source = address_from_ipv4(header.saddr);
		tuple->destination = address_from_ipv4(header.daddr);
		tuple->protocol = header.protocol;
		quotation->transport_offset = quotation->network_offset + header.ihl * 4;
	} else {
		struct ipv6hdr header;

		if (!packet_load(skb, quotation->network_offset, &header, sizeof(header)))
			return false;
		__builtin_memcpy(&tuple->source, &header.saddr, sizeof(struct address));
		__builtin_memcpy(&tuple->destination, &header.daddr, sizeof(struct address));
		tuple->protocol = header.nexthdr;
		quotation->transport_offset = quotation->network_offset + sizeof(header);
	}
	return true;
}

/* False: none within the quotation, or no first fragment: what stands there are no ports. */
static __always_inline bool quotation_load_extensions(struct __sk_buff *skb, const struct packet *packet,
						      struct quotation *quotation)
{
	struct ipv6_extension extension;
	__u8 protocol = quotation->tuple.protocol;

	for (int i = 0; i <= IPV6_EXTENSIONS_MAX; i++) {
		if (!ipv6_is_extension(protocol)) {
			quotation->tuple.protocol = protocol;
			return true;
		}
		if (quotation->transport_offset + sizeof(extension) > packet->end_offset ||
		    !packet_load(skb, quotation->transport_offset, &extension, sizeof(extension)))
			return false;
		if (protocol == IPPROTO_FRAGMENT && (extension.fragment_offset & bpf_htons(IPV6_FRAGMENT_OFFSET)))
			return false;
		quotation->transport_offset += ipv6_extension_length(protocol, &extension);
		protocol = extension.next;
	}
	return false;
}

/* False: not to be read, or not to be attributed. */
static __always_inline bool quotation_load(struct __sk_buff *skb, const struct packet *packet,
					   struct quotation *quotation)
{
	struct tuple *tuple = &quotation->tuple;
	struct icmp_header transport;

	__builtin_memset(quotation, 0, sizeof(*quotation));
	if (!quotation_load_network(skb, packet, quotation) ||
	    (!packet_is_ipv4(packet) && !quotation_load_extensions(skb, packet, quotation)) ||
	    /* What stands behind the packet's end is none of it, nor of its checksum. */
	    quotation->transport_offset + sizeof(transport) > packet->end_offset ||
	    !packet_load(skb, quotation->transport_offset, &transport, sizeof(transport)))
		return false;
	if (tuple->protocol == IPPROTO_TCP || tuple->protocol == IPPROTO_UDP || tuple->protocol == IPPROTO_SCTP) {
		/* Ports stand where ICMP has its type, code and checksum. */
		__builtin_memcpy(&tuple->source_port, &transport.type, sizeof(__be16));
		tuple->destination_port = transport.checksum;
	} else if (tuple->protocol == IPPROTO_ICMP || tuple->protocol == IPPROTO_ICMPV6) {
		if (transport.type == ICMP_ECHO || transport.type == ICMPV6_ECHO_REQUEST)
			tuple->source_port = transport.identifier;
		else
			tuple->destination_port = transport.identifier;
	}
	return true;
}

/* The error's own checksum follows what is written into its data. */
static __always_inline bool quotation_write(struct __sk_buff *skb, const struct packet *packet, __u32 offset,
					    const void *from, const void *to, __u32 length)
{
	__u32 difference = (__u32)bpf_csum_diff((__be32 *)from, length, (__be32 *)to, length, 0);

	return bpf_l4_csum_replace(skb, packet->transport_offset + __builtin_offsetof(struct icmp_header, checksum), 0,
				   difference, 0) == 0 &&
	       bpf_skb_store_bytes(skb, offset, to, length, 0) == 0;
}

static __always_inline bool quotation_rewrite_address(struct __sk_buff *skb, const struct packet *packet,
						      const struct quotation *quotation, enum nat_side side,
						      const struct address *from, const struct address *to)
{
	__u32 network = quotation->network_offset;
	__u32 offset = network + nat_address_offset(packet_is_ipv4(packet), side);

	if (!packet_is_ipv4(packet))
		return quotation_write(skb, packet, offset, from->words, to->words, sizeof(to->words));
	/* The quoted header's checksum makes up for the address: what the error sums stays the same. */
	return bpf_l3_csum_replace(skb, network + __builtin_offsetof(struct iphdr, check), from->words[3], to->words[3],
				   sizeof(to->words[3])) == 0 &&
	       bpf_skb_store_bytes(skb, offset, &to->words[3], sizeof(to->words[3]), 0) == 0;
}

static __always_inline bool quotation_rewrite_port(struct __sk_buff *skb, const struct packet *packet,
						   const struct quotation *quotation, enum nat_side side, __be16 to)
{
	__u32 offset = quotation->transport_offset + nat_port_offset(quotation->tuple.protocol, side);
	__be16 from;

	return packet_load(skb, offset, &from, sizeof(from)) &&
	       bpf_l4_csum_replace(skb, packet->transport_offset + __builtin_offsetof(struct icmp_header, checksum),
				   from, to, sizeof(to)) == 0 &&
	       bpf_skb_store_bytes(skb, offset, &to, sizeof(to), 0) == 0;
}

/* The quoted transport's own checksum stays as it is: nobody can verify it, as the quotation is cut off (RFC 5508 7).
 */
__noinline verdict_t quotation_rewrite(struct __sk_buff *skb, struct packet *packet, const struct quotation *quotation,
				       __u32 side, const struct tuple_end *to)
{
	struct tuple_end from;

	if (!packet || !quotation || !to)
		return -DROP_REASON_INVALID_PACKET;
	from = side == NAT_SOURCE ? tuple_source(&quotation->tuple) : tuple_destination(&quotation->tuple);
	if (!address_equal(&from.address, &to->address) &&
	    !quotation_rewrite_address(skb, packet, quotation, side, &from.address, &to->address))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	if (from.port != to->port && !quotation_rewrite_port(skb, packet, quotation, side, to->port))
		return drop(packet, DROP_REASON_WRITE_FAILED);
	return VERDICT_CONTINUE;
}

/* To the client of a service: the quotation names the frontend again, and so does an error of the backend's own. */
static __always_inline verdict_t related_undo_dnat(struct __sk_buff *skb, struct packet *packet,
						   const struct quotation *quotation, const struct tuple_end *frontend)
{
	struct tuple_end source = {.address = frontend->address};
	bool is_from_backend = address_equal(&packet->tuple.source, &quotation->tuple.destination);

	STEP(quotation_rewrite(skb, packet, quotation, NAT_DESTINATION, frontend));
	if (!is_from_backend)
		return VERDICT_CONTINUE;
	packet->reply_source = *frontend;
	return nat_rewrite(skb, packet, NAT_SOURCE, &source);
}

/* To who has another port than his packets had there. */
static __always_inline verdict_t related_restore_port(struct __sk_buff *skb, struct packet *packet,
						      const struct quotation *quotation, __be16 client_port)
{
	struct tuple_end client = tuple_source(&quotation->tuple);

	client.port = client_port;
	return quotation_rewrite(skb, packet, quotation, NAT_SOURCE, &client);
}

/* What ct_track is to other packets. */
__noinline verdict_t related_track(struct __sk_buff *skb, struct packet *packet)
{
	struct quotation quotation;
	struct tuple_end frontend;
	struct ct_place place;
	__be16 client_port;
	__u32 direction;

	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	if (!quotation_load(skb, packet, &quotation) || !ct_find(&place, &quotation.tuple))
		return VERDICT_CONTINUE;
	packet->ct_status = CT_STATUS_RELATED;
	/* The error travels against the packet that it speaks of. */
	direction = (place.direction ^ 1) & 1;
	if (!config_dry_run) {
		place.connection->packets[direction]++;
		place.connection->bytes[direction] += skb->len;
	}
	packet->is_one_way = ct_is_one_way(place.connection);
	frontend = place.connection->dnat;
	client_port = place.connection->client_port;
	if (place.direction != 0)
		return VERDICT_CONTINUE;
	if (client_port != 0)
		STEP(related_restore_port(skb, packet, &quotation, client_port));
	return tuple_end_is_none(&frontend) ? VERDICT_CONTINUE : related_undo_dnat(skb, packet, &quotation, &frontend);
}
