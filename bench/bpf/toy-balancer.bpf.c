/*
 * The least that a load balancer at XDP does with a packet over TCP and IPv4, without options: read the headers, find
 * the service, find the connection or choose by a table and remember it, write the destination and both checksums,
 * return the frame. No address of its own, no way back, no tunnel, no age, no count, no check of anything.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/tcp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define TABLE_SIZE 65537

struct service_key {
	__be32 address;
	__be16 port;
	__be16 protocol;
};

struct flow {
	__be32 source;
	__be32 destination;
	__be16 source_port;
	__be16 destination_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, 65536);
	__type(key, struct service_key);
	__type(value, __u32);
} toy_services SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, TABLE_SIZE);
	__type(key, __u32);
	__type(value, __u32);
} toy_table SEC(".maps");

/* Whose destination became which address. */
struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 65536);
	__type(key, struct flow);
	__type(value, __u32);
} toy_connections SEC(".maps");

static __always_inline __u16 folded(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	return (sum & 0xffff) + (sum >> 16);
}

/* RFC 1624 */
static __always_inline __u16 replaced(__u16 check, __be32 from, __be32 to)
{
	__u32 sum = (__u16)~check;

	sum += (__u16) ~(from & 0xffff) + (__u16) ~(from >> 16) + (to & 0xffff) + (to >> 16);
	return ~folded(sum);
}

static __always_inline __u32 *choose(const struct flow *flow, __u32 salt)
{
	__u32 hash = (flow->source ^ (flow->source_port * 0x9e3779b1u) ^ salt) * 0x85ebca6bu;
	__u32 entry = (hash ^ (hash >> 15)) % TABLE_SIZE;

	return bpf_map_lookup_elem(&toy_table, &entry);
}

SEC("xdp.frags")
int toy_balance(struct xdp_md *frame)
{
	void *data = (void *)(long)frame->data, *end = (void *)(long)frame->data_end;
	struct ethhdr *ethernet = data;
	struct iphdr *ip = data + sizeof(*ethernet);
	struct tcphdr *tcp = (void *)(ip + 1);
	__u8 mac[ETH_ALEN];
	__u32 *service, *backend;

	if ((void *)(tcp + 1) > end || ethernet->h_proto != bpf_htons(ETH_P_IP) || ip->ihl != 5 ||
	    ip->protocol != IPPROTO_TCP)
		return XDP_PASS;
	struct service_key key = {.address = ip->daddr, .port = tcp->dest, .protocol = IPPROTO_TCP};
	struct flow flow = {ip->saddr, ip->daddr, tcp->source, tcp->dest};
	service = bpf_map_lookup_elem(&toy_services, &key);
	if (!service)
		return XDP_PASS;
	backend = bpf_map_lookup_elem(&toy_connections, &flow);
	if (!backend) {
		backend = choose(&flow, *service);
		if (!backend || bpf_map_update_elem(&toy_connections, &flow, backend, BPF_ANY) != 0)
			return XDP_DROP;
	}
	tcp->check = replaced(tcp->check, ip->daddr, *backend);
	ip->check = replaced(ip->check, ip->daddr, *backend);
	ip->daddr = *backend;
	__builtin_memcpy(mac, ethernet->h_dest, ETH_ALEN);
	__builtin_memcpy(ethernet->h_dest, ethernet->h_source, ETH_ALEN);
	__builtin_memcpy(ethernet->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
