/*
 * Hook: XDP of each device that faces the network, where `loadBalancer.acceleration` asks for it.
 *
 * TC decides, XDP repeats: served are packets of established connections between the world and a backend of another
 * node, to which the programs of TC have given their translations. Whatever begins, changes or ends a connection, and
 * whatever is not plain, passes untouched, and TC does with it what it would do without us.
 */
#define BUFFER_IS_FRAME
#include "lib/buffer.h"
#include "lib/dnat.h"
#include "lib/encap.h"
#include "lib/follow.h"
#include "lib/frame.h"
#include "lib/frame_count.h"
#include "lib/next_hop.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/snat.h"
#include "lib/source.h"
#include "lib/vxlan.h"

/* Remembers nothing of fragments: TC reads each of those that pass. */
__noinline verdict_t xdp_parse(struct xdp_md *frame, struct packet *packet)
{
	if (!packet)
		return -DROP_REASON_INVALID_PACKET;
	return packet_parse_headers(frame, packet);
}

/* Whole, and with the fixed headers only. Of TCP, in the midst of its connection. */
static __always_inline bool xdp_is_plain(const struct packet *packet)
{
	__u32 header = packet_is_ipv4(packet) ? sizeof(struct iphdr) : sizeof(struct ipv6hdr);

	if (packet->fragment != FRAGMENT_NONE || packet->transport_offset != NETWORK_OFFSET + header)
		return false;
	if (packet->tuple.protocol != IPPROTO_TCP)
		return packet->tuple.protocol == IPPROTO_UDP;
	return (packet->tcp_flags & (TCP_FLAG_FIN | TCP_FLAG_SYN | TCP_FLAG_RST | TCP_FLAG_ACK | TCP_FLAG_URG)) ==
	       TCP_FLAG_ACK;
}

/* What will be written must be there, and the packet may not need what only TC has. */
static __always_inline bool xdp_reads(struct xdp_md *frame, struct packet *packet)
{
	return xdp_parse(frame, packet) == VERDICT_CONTINUE && xdp_is_plain(packet) &&
	       packet_refuse_loopback(packet) == VERDICT_CONTINUE && frame_holds_headers(frame, packet);
}

static __always_inline bool xdp_is_node(const struct endpoint *endpoint)
{
	return endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST);
}

/* As TC counts it: `length` of the packet without a tunnel. Of the connection its age and what it has carried. */
static __always_inline void xdp_count(const struct followed *followed, const struct packet *packet, __u64 now,
				      __u32 length, enum frame_way way)
{
	ct_advance(followed->connection, packet, length, followed->direction, now);
	counter_add(packet, DROP_REASON_FORWARDED, length);
	frame_count(way, length);
}

/* Datagrams follow what becomes of the service. */
static __always_inline bool xdp_is_served(const struct packet *packet, const struct followed *followed)
{
	struct service_request request;
	struct frontend *frontend;

	if (packet->tuple.protocol == IPPROTO_TCP)
		return true;
	request = dnat_request(packet);
	frontend = frontend_find_for(&request.key, true);
	return frontend && dnat_choice_holds(frontend, &request, followed->alias);
}

/* Who was given another port is left to TC. */
static __always_inline bool xdp_follow_find(const struct packet *packet, __u64 now, struct followed *followed)
{
	return follow_find(packet, now, followed) && followed->connection->client_port == 0;
}

/* From the world, for a service: the destination becomes the backend that its connection has. */
static __always_inline bool xdp_follow_request(struct packet *packet, __u64 now, struct followed *followed)
{
	packet->is_external = 1;
	packet->source_identity = IDENTITY_WORLD;
	if (!xdp_follow_find(packet, now, followed) || followed->direction != 0 || !follow_is_from_world(followed) ||
	    !xdp_is_served(packet, followed))
		return false;
	packet->frontend = tuple_destination(&packet->tuple);
	packet->tuple.destination = followed->to.address;
	packet->tuple.destination_port = followed->to.port;
	return true;
}

/* The source becomes what its connection was given. Of DSR it stays, where the packet need not tell of its frontend. */
static __always_inline bool xdp_masquerade(struct packet *packet, const struct connection *connection, __u64 now)
{
	struct address gateway = encap_gateway(packet);
	struct tuple_end source = connection->snat;

	if (ct_is_one_way(connection))
		return packet->tuple.protocol == IPPROTO_TCP && connection->told == ct_told_now(now);
	if (address_is_zero(&gateway) || tuple_end_is_none(&source) || !snat_is_ours(&source, &gateway))
		return false;
	packet->tuple.source = source.address;
	packet->tuple.source_port = source.port;
	return true;
}

/* NULL: no packet for the tunnel, or one that TC must look at. */
static __always_inline struct ipcache_entry *xdp_tunnel_of(struct xdp_md *frame, struct packet *packet)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.destination);
	__u32 mtu;

	if (!entry || address_is_zero(&entry->tunnel_endpoint) || endpoint_lookup(&packet->tuple.destination))
		return NULL;
	packet->destination_identity = entry->identity;
	mtu = encap_mtu(frame, packet, entry);
	return mtu == 0 || packet->wire_length <= mtu ? entry : NULL;
}

/* The way to the other node, an action as next_hop_find has it. `length` of what is tunneled. */
static __always_inline int xdp_find_node(struct xdp_md *frame, __u32 ingress, const struct address *node, __u32 length,
					 struct bpf_fib_lookup *fib)
{
	struct address ipv4 = config_underlay_ipv4, ipv6 = config_underlay_ipv6;
	bool is_ipv4 = address_is_ipv4(node);

	if (is_ipv4 ? address_is_zero(&ipv4) : address_is_zero(&ipv6))
		return XDP_PASS;
	fib->ifindex = ingress;
	fib->l4_protocol = IPPROTO_UDP;
	fib->dport = config_tunnel_port;
	if (is_ipv4) {
		fib->family = 2; /* AF_INET */
		fib->tot_len = length + vxlan_length(true) - sizeof(struct ethhdr);
		fib->ipv4_src = ipv4.words[3];
		fib->ipv4_dst = node->words[3];
	} else {
		fib->family = 10; /* AF_INET6 */
		fib->tot_len = length + vxlan_length(false) - sizeof(struct ethhdr);
		__builtin_memcpy(fib->ipv6_src, &ipv6, sizeof(ipv6));
		__builtin_memcpy(fib->ipv6_dst, node, sizeof(*node));
	}
	return next_hop_find(frame, ingress, fib,
			     is_ipv4 ? FRAME_DEVICE_FLAG_UNDERLAY_IPV4 : FRAME_DEVICE_FLAG_UNDERLAY_IPV6);
}

/* Where there is room for them, in front of the packet. */
static __always_inline bool xdp_encapsulate(struct xdp_md *frame, const struct packet *packet,
					    const struct bpf_fib_lookup *fib, const struct address *node)
{
	if (address_is_ipv4(node))
		return frame_write(frame, packet, vxlan_length(true)) && vxlan_put_ipv4(frame, packet, fib, node);
	return frame_write(frame, packet, vxlan_length(false)) && vxlan_put_ipv6(frame, packet, fib, node);
}

/* The kernel gave room and then took it back: never seen, and no packet that TC could still read. */
static __always_inline int xdp_lose(const struct packet *packet, __u32 length)
{
	counter_add(packet, DROP_REASON_WRITE_FAILED, length);
	return XDP_DROP;
}

/* From the world to a backend of another node. */
static __noinline int xdp_to_tunnel(struct xdp_md *frame, struct packet *packet)
{
	__u32 length = buffer_length(frame), ingress = frame->ingress_ifindex;
	__u64 now = bpf_ktime_get_coarse_ns();
	struct bpf_fib_lookup fib = {};
	struct ipcache_entry *entry;
	struct followed followed;
	struct address node;
	int action;

	if (packet->hop_limit <= 1 || !xdp_follow_request(packet, now, &followed) || frame_is_unfinished(frame, packet))
		return XDP_PASS;
	entry = xdp_tunnel_of(frame, packet);
	if (!entry || !xdp_masquerade(packet, followed.connection, now))
		return XDP_PASS;
	node = entry->tunnel_endpoint;
	if (!address_is_ipv4(&node) && !frame_has_sum(frame, packet))
		return XDP_PASS;
	action = xdp_find_node(frame, ingress, &node, length, &fib);
	if (action == XDP_PASS || frame_has_metadata(frame))
		return XDP_PASS;
	if (bpf_xdp_adjust_head(frame, -(int)vxlan_length(address_is_ipv4(&node))) != 0)
		return XDP_PASS;
	if (!xdp_encapsulate(frame, packet, &fib, &node))
		return xdp_lose(packet, length);
	xdp_count(&followed, packet, now, length, FRAME_WAY_TUNNEL);
	return next_hop_send(action, &fib);
}

/* The backend's answer, out of its tunnel. As overlay_from_overlay has it. */
static __always_inline int xdp_answer(struct xdp_md *frame, struct packet *packet, const struct vxlan_arrival *arrival)
{
	__u32 length = buffer_length(frame), ingress = frame->ingress_ifindex;
	__u64 now = bpf_ktime_get_coarse_ns();
	struct bpf_fib_lookup fib = {};
	struct followed followed;
	struct tuple_end source;
	int action;

	if (decap_believe(packet, &arrival->node, arrival->identity) != VERDICT_CONTINUE || !xdp_reads(frame, packet) ||
	    packet->hop_limit <= 1 || !xdp_follow_find(packet, now, &followed) || followed.direction != 1 ||
	    followed.connection->source_identity != IDENTITY_WORLD || !vxlan_is_sound(frame, packet, arrival) ||
	    frame_is_unfinished(frame, packet))
		return XDP_PASS;
	source = followed.connection->dnat;
	if (tuple_end_is_none(&source))
		return XDP_PASS;
	packet->tuple.destination = followed.to.address;
	packet->tuple.destination_port = followed.to.port;
	packet->tuple.source = source.address;
	packet->tuple.source_port = source.port;
	fib_fill(&fib, packet, config_overlay_ifindex);
	action = next_hop_find(frame, ingress, &fib, 0);
	if (action == XDP_PASS)
		return XDP_PASS;
	if (!frame_write(frame, packet, 0) || !frame_write_macs(frame, &fib))
		return xdp_lose(packet, length);
	xdp_count(&followed, packet, now, length, FRAME_WAY_WORLD);
	return next_hop_send(action, &fib);
}

/* The headers of the tunnel are left where they are: what is none of ours gets them back as they were. */
static __noinline int xdp_from_tunnel(struct xdp_md *frame, struct packet *packet)
{
	int outer = vxlan_length(packet_is_ipv4(packet)), action = XDP_PASS;
	struct vxlan_arrival arrival = {};
	struct packet *inner;

	if (!xdp_is_node(endpoint_lookup(&packet->tuple.destination)) || frame_has_metadata(frame) ||
	    !vxlan_take(frame, packet, &arrival) || bpf_xdp_adjust_head(frame, outer) != 0)
		return XDP_PASS;
	inner = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_OVERLAY);
	if (inner)
		action = xdp_answer(frame, inner, &arrival);
	if (action != XDP_PASS || bpf_xdp_adjust_head(frame, -outer) == 0)
		return action;
	return xdp_lose(packet, buffer_length(frame));
}

static __always_inline int xdp_steps(struct xdp_md *frame)
{
	struct packet *packet = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_NETWORK);

	if (!packet || config_dry_run || !xdp_reads(frame, packet))
		return XDP_PASS;
	return tunnel_carries(packet) ? xdp_from_tunnel(frame, packet) : xdp_to_tunnel(frame, packet);
}

/* Native: frames of several buffers, too, as an MTU of 9000 makes them. */
SEC("xdp.frags")
int xdp_from_network(struct xdp_md *frame)
{
	return xdp_steps(frame);
}

/*
 * Generic: of one buffer. For a program that takes several the kernel copies the socket buffer and forgets where its
 * Ethernet header ends (skb_pp_cow_data leaves mac_len 0, 6.18), and TC would read what passes at the wrong place.
 */
SEC("xdp")
int xdp_generic_from_network(struct xdp_md *frame)
{
	return xdp_steps(frame);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
