/*
 * Hooks: TCX ingress and egress of each device that faces the network. Everything of the node's own passes untouched:
 * what these programs cannot parse is the stack's business, as it would be without them.
 */
#include "lib/device.h"
#include "lib/entry.h"
#include "lib/follow.h"
#include "lib/give_way.h"
#include "lib/hold.h"
#include "lib/ndp.h"
#include "lib/parse.h"
#include "lib/route.h"
#include "lib/snat.h"
#include "lib/source.h"
#include "lib/track.h"

/* A whole IPv4 packet of the tunnel, as ours are: without options. Other packets may be the tunnel's as well. */
static __always_inline bool netdev_load_tunneled(struct __sk_buff *skb, struct iphdr *header)
{
	struct {
		struct ethhdr ethernet;
		struct iphdr ip;
		struct udphdr udp;
	} __attribute__((packed)) headers;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->vlan_present || !config_ipv4_enabled ||
	    bpf_skb_load_bytes(skb, 0, &headers, sizeof(headers)) != 0)
		return false;
	*header = headers.ip;
	return headers.ip.version == 4 && headers.ip.ihl == sizeof(headers.ip) / 4 &&
	       headers.ip.protocol == IPPROTO_UDP && !(headers.ip.frag_off & bpf_htons(~IPV4_DONT_FRAGMENT)) &&
	       headers.udp.dest == config_tunnel_port;
}

static __always_inline bool netdev_is_own_ipv4(__be32 word)
{
	struct address address = address_from_ipv4(word), gateway = config_gateway_ipv4;
	struct endpoint *endpoint = endpoint_lookup(&address);

	return endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST) && !address_equal(&address, &gateway);
}

/*
 * Between two nodes most packets are the tunnel's, and each has its inner one looked at by other programs: what the
 * steps below say of it, in a fifth of the time.
 */
static __always_inline bool netdev_is_tunneled_to_node(struct __sk_buff *skb)
{
	struct iphdr header;
	struct address source;

	if (!netdev_load_tunneled(skb, &header))
		return false;
	source = address_from_ipv4(header.saddr);
	return !address_is_loopback(&source) && netdev_is_own_ipv4(header.daddr);
}

static __always_inline bool netdev_is_tunneled_by_node(struct __sk_buff *skb)
{
	struct iphdr header;

	return netdev_load_tunneled(skb, &header) && netdev_is_own_ipv4(header.saddr);
}

/*
 * A pod's address in a packet from the network is forged, and so is our own: pods of the cluster come by the tunnel.
 * Nodes speak to nodes without it, the tunnel's own packets among them: the stack's business, unless it is a service
 * that they speak to. Whom a service would have to answer at an address of nobody or of many has forged it as well.
 */
static __always_inline verdict_t netdev_check_source(struct packet *packet, bool is_for_node)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.source);

	if (packet->is_external && address_is_nobodys(&packet->tuple.source))
		return drop(packet, DROP_REASON_INVALID_SOURCE_ADDRESS);
	if (entry && (entry->flags & IPCACHE_FLAG_NODE) && is_for_node) {
		packet->source_identity = entry->identity;
		return packet->is_external ? VERDICT_CONTINUE : TC_ACT_OK;
	}
	if (entry)
		return drop(packet, DROP_REASON_INVALID_SOURCE_ADDRESS);
	if (endpoint_lookup(&packet->tuple.source))
		return drop(packet, DROP_REASON_INVALID_SOURCE_ADDRESS);
	packet->source_identity = IDENTITY_WORLD;
	return VERDICT_CONTINUE;
}

/*
 * Fragments that came too early may be the node's own, whose stack waits for their first as well: it gets them all, and
 * a pod gets the copies. What is for an address of services alone is nobody else's.
 */
static __always_inline verdict_t netdev_hold(struct __sk_buff *skb, struct packet *packet, bool is_for_node)
{
	struct hold_target target = {.ifindex = skb->ifindex, .flags = BPF_F_INGRESS};
	struct tuple_end client;

	if (packet->lacks_ports && hold(skb, packet, is_for_node) && !is_for_node)
		return VERDICT_TAKEN;
	if (packet->lacks_ports)
		return is_for_node ? TC_ACT_OK : drop(packet, DROP_REASON_FRAGMENT_UNSUPPORTED);
	if (!packet->has_waiting || (!packet->is_external && !snat_client(&packet->tuple, &client)))
		return VERDICT_CONTINUE;
	hold_release(skb, packet, &target);
	return VERDICT_TAKEN;
}

/*
 * Its connection has just ended, or been given up by the LRU. From outside nobody begins one with a pod by an address
 * that is shared: it is the node's, as it would be without the alias. A connection in that direction would let the
 * pod's answers leave with the pod's address.
 */
static __always_inline verdict_t netdev_return_to_node(struct __sk_buff *skb, struct packet *packet)
{
	if (!config_dry_run)
		ct_forget(&packet->arrived);
	STEP(nat_restore(skb, packet));
	return TC_ACT_OK;
}

/* The node's own stack takes it from here: by the device that it came by, which is where its source is expected. */
static __always_inline verdict_t netdev_to_process(struct __sk_buff *skb, struct packet *packet,
						   const struct endpoint *endpoint)
{
	packet->destination_identity = endpoint->identity;
	STEP(ct_commit(skb, packet));
	return TC_ACT_OK;
}

/*
 * Nobody but the node is known here: its stack would reset what it has no socket for. A service that was here may have
 * led a connection with the same ports elsewhere, which was left without an end: what follows this one's SYN is the
 * node's.
 */
static __always_inline verdict_t netdev_to_stack(struct __sk_buff *skb, struct packet *packet)
{
	if (packet_is_syn(packet) && !config_dry_run && ct_alias(&packet->tuple, CT_KIND_DNAT_ALIAS) &&
	    snat_socket_exists(skb, &packet->tuple))
		ct_forget(&packet->tuple);
	if (takeover_hides(packet) && !packet->lacks_ports && !snat_socket_exists(skb, &packet->tuple))
		return drop(packet, DROP_REASON_TABLES_TAKEN_OVER);
	return TC_ACT_OK;
}

/* For the node, or for whoever shares its address. */
static __always_inline verdict_t netdev_reverse(struct __sk_buff *skb, struct packet *packet)
{
	struct tuple_end before = tuple_destination(&packet->tuple), after;

	STEP(snat_reverse(skb, packet));
	after = tuple_destination(&packet->tuple);
	return tuple_end_equal(&before, &after) ? netdev_to_stack(skb, packet) : VERDICT_CONTINUE;
}

/*
 * For a service, a way in from outside: the backend's answers come back here, from a pod of ours by its program, from
 * the node's own process by netdev_to_network, from elsewhere through the tunnel, since there the client is our
 * gateway. For the node. Or for a pod: somebody on the network knows the way to it, and is answered without
 * translation, as a reply.
 */
static __always_inline verdict_t netdev_translate_new(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.destination);
	bool is_for_node = endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST), is_for_pod = endpoint && !is_for_node;

	if (is_for_node ? tunnel_carries(packet)
			: !is_for_pod && !service_owns_address(&packet->tuple.destination, true))
		return TC_ACT_OK;
	/* Whether the address is still here: who announces it answers, the node's stack for its proxied neighbours. */
	if (!is_for_node && !is_for_pod && ndp_is_link_traffic(packet))
		return TC_ACT_OK;
	packet->is_external = !is_for_pod;
	/* Whom it is routed to is his own, but for what a service has there. */
	if (!endpoint && ipcache_is_node(&packet->tuple.destination) && !dnat_is_for_service(packet))
		return TC_ACT_OK;
	if (is_for_node)
		packet->is_external = dnat_is_for_service(packet) || dnat_is_error_of_client(skb, packet);
	STEP(netdev_check_source(packet, !is_for_pod));
	if (!is_for_pod)
		STEP(netdev_hold(skb, packet, is_for_node));
	if (packet->is_external)
		STEP(dnat_translate_external(skb, packet));
	else if (is_for_node)
		STEP(netdev_reverse(skb, packet));
	STEP(track(skb, packet));
	if (is_for_node && !packet->is_external && packet->ct_status == CT_STATUS_NEW && !packet->is_icmp_error)
		return netdev_return_to_node(skb, packet);
	return VERDICT_CONTINUE;
}

/* Continues with what is to be routed here. */
static __always_inline verdict_t netdev_translate(struct __sk_buff *skb, struct packet *packet)
{
	int followed = follow(skb, packet, true);

	if (followed == FOLLOW_NONE)
		return netdev_translate_new(skb, packet);
	packet->source_identity = IDENTITY_WORLD;
	return followed < 0 ? followed : VERDICT_CONTINUE;
}

/*
 * What is translated: a request to its backend, a reply to whom it is for. Of a reply to the node's own a service may
 * be the sender now: for that its route leads to sluice_host. A backend outside of the cluster answers a client who is
 * outside, too.
 */
static __always_inline verdict_t netdev_route(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint *endpoint = endpoint_lookup(&packet->tuple.destination);

	if (endpoint && (endpoint->flags & ENDPOINT_FLAG_HOST) && tuple_end_is_none(&packet->reply_source))
		return netdev_to_process(skb, packet, endpoint);
	STEP(route_to_endpoint(skb, packet, endpoint, true));
	if (!packet->is_external && tuple_end_is_none(&packet->reply_source))
		return VERDICT_CONTINUE;
	STEP(route_tunnel(skb, packet, true));
	return route_world(skb, packet);
}

/*
 * Of what cannot be parsed. At an address of services alone the stack would send it on by its routes, and the router
 * back, whose route leads to this node: until its hops are used up.
 */
static __always_inline verdict_t netdev_refuse_malformed(const struct packet *packet, verdict_t reason)
{
	const struct address *destination = &packet->tuple.destination;

	return service_owns_address(destination, true) && !dnat_is_node(destination) ? reason : TC_ACT_OK;
}

static __always_inline verdict_t netdev_from_network_steps(struct __sk_buff *skb, struct packet *packet)
{
	verdict_t parsed = packet_parse(skb, packet);

	if (parsed != VERDICT_CONTINUE)
		return netdev_refuse_malformed(packet, parsed);
	if (packet_is_arp(packet))
		return TC_ACT_OK;
	STEP(packet_refuse_loopback(packet));
	STEP(netdev_translate(skb, packet));
	return netdev_route(skb, packet);
}

static __always_inline bool netdev_masquerades(const struct packet *packet)
{
	return packet_is_ipv4(packet) ? config_masquerade_ipv4 : config_masquerade_ipv6;
}

/* A pod, or the node by the address that only pods know. */
static __always_inline verdict_t netdev_masquerade(struct __sk_buff *skb, struct packet *packet,
						   const struct address *address)
{
	/* As MASQUERADE of iptables has it: the network could not answer the pod's own address. */
	if (address_is_zero(address))
		return drop(packet, DROP_REASON_NO_MASQUERADE_ADDRESS);
	if (packet->is_icmp_error)
		return snat_translate_error(skb, packet, address);
	if (packet->lacks_ports)
		return drop(packet, DROP_REASON_FRAGMENT_UNSUPPORTED);
	return snat_translate(skb, packet, address);
}

/* Neither found by its socket, nor beyond being mistaken for a pod's: echo, and protocols without ports. */
static __always_inline bool netdev_must_be_noted(const struct packet *packet)
{
	if (packet_has_ports(packet) || address_is_multicast(&packet->tuple.destination))
		return false;
	return !packet_is_icmp(packet) || packet_is_echo_request(packet);
}

/* A process of the node answers whom a service has led to it. */
static __always_inline bool netdev_is_answer(const struct packet *packet)
{
	struct tuple reverse = tuple_reverse(&packet->tuple);
	struct connection *connection = ct_entry(&reverse);

	return connection && connection->kind == CT_KIND_CONNECTION && !tuple_end_is_none(&connection->dnat);
}

static __always_inline bool netdev_is_gateway(const struct address *address)
{
	struct address ipv4 = config_gateway_ipv4, ipv6 = config_gateway_ipv6;

	return address_equal(address, &ipv4) || address_equal(address, &ipv6);
}

/* Whether or not pods are masqueraded, and their ports made way for. */
static __always_inline bool netdev_may_answer(const struct packet *packet, const struct endpoint *endpoint)
{
	if (!(endpoint->flags & ENDPOINT_FLAG_HOST) || netdev_is_gateway(&packet->tuple.source))
		return false;
	return !tunnel_carries(packet) && (packet->is_icmp_error || netdev_is_answer(packet));
}

/*
 * While tables are taken over such an answer is not known as one, and with the process's own address the client would
 * reset it. Who has a listener at its port has not begun the connection itself. Nodes speak to each other without a
 * service.
 */
__noinline int netdev_hides_answer(struct __sk_buff *skb, const struct packet *packet)
{
	struct tuple client;

	if (!packet || !takeover_may_hide(packet) || netdev_is_gateway(&packet->tuple.source) ||
	    ipcache_is_node(&packet->tuple.destination))
		return 0;
	client = tuple_reverse(&packet->tuple);
	client.source_port = 0;
	return snat_socket_exists(skb, &client);
}

/*
 * The node's own connections keep their ports, or give way. What has no socket that snat_claim could find is noted, so
 * that no pod takes its number.
 */
static __always_inline verdict_t netdev_from_node(struct __sk_buff *skb, struct packet *packet,
						  const struct address *address)
{
	bool gives_way;

	if (tunnel_carries(packet) || address_is_zero(address) || packet->lacks_ports ||
	    ipcache_is_node(&packet->tuple.destination))
		return VERDICT_CONTINUE;
	gives_way = give_way_was_given(packet) || give_way_is_due(packet);
	if (!gives_way && !netdev_must_be_noted(packet))
		return VERDICT_CONTINUE;
	packet->source_identity = IDENTITY_HOST;
	packet->destination_identity = IDENTITY_WORLD;
	STEP(ct_track(skb, packet));
	STEP(ct_commit(skb, packet));
	return gives_way ? snat_translate(skb, packet, address) : VERDICT_CONTINUE;
}

/* A source of ours that nobody has: its pod has just gone, and the network could not answer it. */
static __always_inline verdict_t netdev_refuse_stale(struct packet *packet)
{
	struct ipcache_entry *entry = ipcache_lookup(&packet->tuple.source);

	if (entry && (entry->flags & IPCACHE_FLAG_UNROUTABLE))
		return drop(packet, DROP_REASON_STALE_OR_UNROUTABLE);
	return VERDICT_CONTINUE;
}

/* A service's answer, as it was translated, is known by the client's packets only: it was tracked where it came in. */
static __always_inline bool netdev_is_from_service(const struct packet *packet)
{
	return service_owns_address(&packet->tuple.source, true) || ipcache_is_node(&packet->tuple.source);
}

/*
 * Whom we forward for: a client that a service leads to a backend outside of the cluster, which must answer us. Others
 * pass as they are.
 */
static __always_inline verdict_t netdev_forward(struct __sk_buff *skb, struct packet *packet)
{
	struct connection *connection = packet->lacks_ports ? NULL : ct_entry(&packet->tuple);
	struct address address;

	STEP(netdev_refuse_stale(packet));
	if (!connection && takeover_may_hide(packet) && !netdev_is_from_service(packet))
		return drop(packet, DROP_REASON_TABLES_TAKEN_OVER);
	if (!connection || connection->kind != CT_KIND_CONNECTION || tuple_end_is_none(&connection->dnat))
		return VERDICT_CONTINUE;
	address = device_address(device_lookup(skb->ifindex), packet_is_ipv4(packet));
	if (address_is_zero(&address))
		return drop(packet, DROP_REASON_NO_MASQUERADE_ADDRESS);
	return snat_translate(skb, packet, &address);
}

/*
 * Datagrams of a process of the node to a service that has nobody: its socket hook has let them go, since there
 * connect() succeeds, and the network would bring them back to a node at best. TCP was refused at connect().
 */
static __always_inline bool netdev_asks_nobody(const struct packet *packet, const struct endpoint *endpoint)
{
	struct frontend_key key = {.address = packet->tuple.destination,
				   .port = packet->tuple.destination_port,
				   .protocol = packet->tuple.protocol};
	struct frontend *frontend;

	if (!(endpoint->flags & ENDPOINT_FLAG_HOST) || packet->tuple.protocol != IPPROTO_UDP || packet->lacks_ports ||
	    tunnel_carries(packet))
		return false;
	frontend = frontend_lookup(&key);
	return frontend && frontend->backend_count == 0 && !(frontend->flags & FRONTEND_FLAG_ELSEWHERE);
}

static __always_inline verdict_t netdev_to_network_steps(struct __sk_buff *skb, struct packet *packet)
{
	struct endpoint *endpoint;
	struct address address;

	if (packet_parse(skb, packet) != VERDICT_CONTINUE || packet_is_arp(packet))
		return TC_ACT_OK;
	endpoint = endpoint_lookup(&packet->tuple.source);
	if (!endpoint)
		return netdev_forward(skb, packet);
	packet->source_identity = endpoint->identity;
	packet->endpoint_id = endpoint->id;
	if (netdev_may_answer(packet, endpoint))
		return track(skb, packet);
	if ((endpoint->flags & ENDPOINT_FLAG_HOST) && netdev_hides_answer(skb, packet))
		return drop(packet, DROP_REASON_TABLES_TAKEN_OVER);
	if (netdev_asks_nobody(packet, endpoint))
		return drop(packet, DROP_REASON_NO_BACKEND);
	if (!netdev_masquerades(packet))
		return TC_ACT_OK;
	address = device_address(device_lookup(skb->ifindex), packet_is_ipv4(packet));
	if ((endpoint->flags & ENDPOINT_FLAG_HOST) && !netdev_is_gateway(&packet->tuple.source))
		return netdev_from_node(skb, packet, &address);
	return netdev_masquerade(skb, packet, &address);
}

/* The next program on this hook, or the stack. Not counted: pods' packets are, where they begin and end. */
static __always_inline bool netdev_passes(verdict_t verdict)
{
	return verdict == VERDICT_CONTINUE || verdict == TC_ACT_OK;
}

static __always_inline int netdev_settle_incoming(struct __sk_buff *skb, struct packet *packet, verdict_t verdict)
{
	return netdev_passes(verdict) ? TC_ACT_UNSPEC : entry_settle_and_answer(skb, packet, verdict);
}

static __always_inline int netdev_settle_outgoing(struct __sk_buff *skb, struct packet *packet, verdict_t verdict)
{
	if (netdev_passes(verdict))
		return TC_ACT_UNSPEC;
	return verdict == -DROP_REASON_NO_BACKEND ? entry_settle_and_answer(skb, packet, verdict)
						  : entry_settle(skb, packet, verdict);
}

SEC("tc")
int netdev_from_network(struct __sk_buff *skb)
{
	struct packet *packet;

	if (netdev_is_tunneled_to_node(skb))
		return TC_ACT_UNSPEC;
	packet = packet_begin(DIRECTION_INGRESS, TRACE_POINT_FROM_NETWORK);
	return packet ? netdev_settle_incoming(skb, packet, netdev_from_network_steps(skb, packet)) : TC_ACT_SHOT;
}

SEC("tc")
int netdev_to_network(struct __sk_buff *skb)
{
	struct packet *packet;

	if (netdev_is_tunneled_by_node(skb))
		return TC_ACT_UNSPEC;
	packet = packet_begin(DIRECTION_EGRESS, TRACE_POINT_TO_NETWORK);
	return packet ? netdev_settle_outgoing(skb, packet, netdev_to_network_steps(skb, packet)) : TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
