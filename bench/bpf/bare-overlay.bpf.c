/*
 * The least that programs must do to carry a pod's packets to another node, and nothing else: no check of who sends, no
 * connection, no count. What Sluice takes on top of it is the price of what it does; what a peer takes less than this
 * there is not. IPv4 only, two nodes (peers/bare-overlay.ts), NODE is 1 or 2.
 */
#include <stdbool.h>
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/pkt_cls.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define OTHER (3 - NODE)
/* 10.30.0.NODE */
#define NODE_ADDRESS(node) (0x0a1e0000u + (node))
#define NETWORK_IFINDEX 100
#define POD_IFINDEX 200
#define TUNNEL_IFINDEX 300
#define TUNNEL_PORT 8472
#define IDENTITY 7
#define PACKET_HOST 0
#define AF_INET 2

static __always_inline bool is_ipv4(struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IP);
}

static __always_inline int into_pod(struct __sk_buff *skb)
{
	__u8 macs[2 * ETH_ALEN] = {2, 0, 0, 0, 0x70, NODE, 2, 0, 0, 0, 0x67, NODE};

	if (bpf_skb_store_bytes(skb, 0, macs, sizeof(macs), 0) != 0 || bpf_skb_change_type(skb, PACKET_HOST) != 0)
		return TC_ACT_SHOT;
	return bpf_redirect_peer(POD_IFINDEX, 0);
}

static __always_inline int onto_network(void)
{
	struct bpf_redir_neigh next = {.nh_family = AF_INET, .ipv4_nh = bpf_htonl(NODE_ADDRESS(OTHER))};

	return bpf_redirect_neigh(NETWORK_IFINDEX, &next, sizeof(next), 0);
}

/* As they are, as in a network that knows the way to pods. */
SEC("tc/plain_send")
int plain_send(struct __sk_buff *skb)
{
	return is_ipv4(skb) ? onto_network() : TC_ACT_OK;
}

SEC("tc/plain_receive")
int plain_receive(struct __sk_buff *skb)
{
	struct iphdr header;

	if (!is_ipv4(skb) || bpf_skb_load_bytes(skb, ETH_HLEN, &header, sizeof(header)) != 0)
		return TC_ACT_OK;
	return (header.daddr & bpf_htonl(0xffff0000)) == bpf_htonl(0x0a1f0000) ? into_pod(skb) : TC_ACT_OK;
}

/* By the kernel's VXLAN device, as ours do. */
SEC("tc/device_send")
int device_send(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {.tunnel_id = IDENTITY, .tunnel_ttl = 64, .remote_ipv4 = NODE_ADDRESS(OTHER)};

	if (!is_ipv4(skb))
		return TC_ACT_OK;
	if (bpf_skb_set_tunnel_key(skb, &key, sizeof(key), BPF_F_ZERO_CSUM_TX) != 0)
		return TC_ACT_SHOT;
	return bpf_redirect(TUNNEL_IFINDEX, 0);
}

SEC("tc/device_receive")
int device_receive(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {};

	if (!is_ipv4(skb))
		return TC_ACT_OK;
	return bpf_skb_get_tunnel_key(skb, &key, sizeof(key), 0) == 0 ? into_pod(skb) : TC_ACT_SHOT;
}

struct tunnel_headers {
	struct iphdr ip;
	struct udphdr udp;
	__be32 vxlan[2];
	struct ethhdr ethernet;
} __attribute__((packed, aligned(2)));

static __always_inline __u16 ip_checksum(const struct tunnel_headers *headers)
{
	const __u16 *words = (const __u16 *)headers;
	__u32 sum = 0;

	for (__u32 i = 0; i < sizeof(headers->ip) / 2; i++)
		sum += words[i];
	sum = (sum & 0xffff) + (sum >> 16);
	return ~((sum & 0xffff) + (sum >> 16));
}

/* The same bytes on the wire, written by the program itself. */
SEC("tc/own_send")
int own_send(struct __sk_buff *skb)
{
	__u64 flags = BPF_F_ADJ_ROOM_FIXED_GSO | BPF_F_ADJ_ROOM_ENCAP_L3_IPV4 | BPF_F_ADJ_ROOM_ENCAP_L4_UDP |
		      BPF_F_ADJ_ROOM_ENCAP_L2_ETH | BPF_F_ADJ_ROOM_ENCAP_L2(ETH_HLEN);
	__u16 entropy = bpf_get_hash_recalc(skb) & 0x3fff, length;
	struct tunnel_headers headers = {
	    .ip = {.version = 4, .ihl = 5, .ttl = 64, .protocol = IPPROTO_UDP, .frag_off = bpf_htons(0x4000)},
	    .vxlan = {bpf_htonl(0x08000000), bpf_htonl(IDENTITY << 8)},
	    .ethernet = {.h_dest = {2, 0, 0, 0, 0x76, OTHER},
			 .h_source = {2, 0, 0, 0, 0x76, NODE},
			 .h_proto = bpf_htons(ETH_P_IP)},
	};

	if (!is_ipv4(skb))
		return TC_ACT_OK;
	if (bpf_skb_adjust_room(skb, sizeof(headers), BPF_ADJ_ROOM_MAC, flags) != 0)
		return TC_ACT_SHOT;
	length = skb->len - ETH_HLEN;
	headers.ip.tot_len = bpf_htons(length);
	headers.ip.saddr = bpf_htonl(NODE_ADDRESS(NODE));
	headers.ip.daddr = bpf_htonl(NODE_ADDRESS(OTHER));
	headers.ip.check = ip_checksum(&headers);
	headers.udp.source = bpf_htons(0xc000 | entropy);
	headers.udp.dest = bpf_htons(TUNNEL_PORT);
	headers.udp.len = bpf_htons(length - sizeof(headers.ip));
	if (bpf_skb_store_bytes(skb, ETH_HLEN, &headers, sizeof(headers), 0) != 0)
		return TC_ACT_SHOT;
	return onto_network();
}

/* Leaves a GSO packet marked as a tunnel's (6.6 to 6.18): fit to be measured, not for a pod that sends it on. */
SEC("tc/own_receive")
int own_receive(struct __sk_buff *skb)
{
	struct udphdr header;

	if (!is_ipv4(skb) || bpf_skb_load_bytes(skb, ETH_HLEN + sizeof(struct iphdr), &header, sizeof(header)) != 0 ||
	    header.dest != bpf_htons(TUNNEL_PORT))
		return TC_ACT_OK;
	if (bpf_skb_adjust_room(skb, -(__s32)sizeof(struct tunnel_headers), BPF_ADJ_ROOM_MAC,
				BPF_F_ADJ_ROOM_FIXED_GSO) != 0)
		return TC_ACT_SHOT;
	return into_pod(skb);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
