/*
 * Frames for a node and from it: a generator that sends copies of some frames in turn (run on live frames), the least
 * that a node can do with them, and ends that count and drop. Only IPv4 is counted: the neighbours' talk goes on.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#define FRAMES_MAX 64
#define FRAME_MAX 128

const volatile __u8 frame_bytes[FRAMES_MAX][FRAME_MAX];
const volatile __u32 frame_length;
/* Where the generator's frames leave, and those that are forwarded. */
const volatile __u32 out_ifindex;
const volatile __u8 out_macs[2 * ETH_ALEN];

/* [0]: IPv4 packets that have come to the end. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} arrived SEC(".maps");

struct generator {
	/* Frames made so far, and when it began. */
	__u64 count;
	__u64 began_ns;
	/* Between two frames, waited for; 0: as fast as can be. */
	__u64 pause_ns;
};

/* It runs on one CPU. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct generator);
} generators SEC(".maps");

/* A look at the clock is 20 ns: longer than any pause. */
#define LOOKS_MAX 4000

static __always_inline void wait_until(__u64 due_ns)
{
	for (__u32 look = 0; look < LOOKS_MAX; look++)
		if (bpf_ktime_get_ns() >= due_ns)
			return;
}

SEC("xdp")
int generate(struct xdp_md *frame)
{
	__u32 first = 0;
	struct generator *generator = bpf_map_lookup_elem(&generators, &first);

	if (!generator || frame_length == 0 || frame_length > FRAME_MAX)
		return XDP_ABORTED;
	if (generator->count == 0)
		generator->began_ns = bpf_ktime_get_ns();
	if (generator->pause_ns != 0)
		wait_until(generator->began_ns + generator->count * generator->pause_ns);
	if (bpf_xdp_store_bytes(frame, 0, (void *)frame_bytes[generator->count++ % FRAMES_MAX], frame_length) != 0)
		return XDP_ABORTED;
	return bpf_redirect(out_ifindex, 0);
}

SEC("xdp")
int bounce(struct xdp_md *frame)
{
	struct ethhdr *header = (void *)(long)frame->data;
	__u8 mac[ETH_ALEN];

	if ((void *)(header + 1) > (void *)(long)frame->data_end || header->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	__builtin_memcpy(mac, header->h_dest, ETH_ALEN);
	__builtin_memcpy(header->h_dest, header->h_source, ETH_ALEN);
	__builtin_memcpy(header->h_source, mac, ETH_ALEN);
	return XDP_TX;
}

SEC("xdp")
int forward(struct xdp_md *frame)
{
	struct ethhdr *header = (void *)(long)frame->data;

	if ((void *)(header + 1) > (void *)(long)frame->data_end || header->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	__builtin_memcpy(header, (void *)out_macs, sizeof(out_macs));
	return bpf_redirect(out_ifindex, 0);
}

static __always_inline void count_one(void)
{
	__u32 first = 0;
	__u64 *count = bpf_map_lookup_elem(&arrived, &first);

	if (count)
		(*count)++;
}

SEC("xdp")
int end_frame(struct xdp_md *frame)
{
	struct ethhdr *header = (void *)(long)frame->data;

	if ((void *)(header + 1) > (void *)(long)frame->data_end || header->h_proto != bpf_htons(ETH_P_IP))
		return XDP_PASS;
	count_one();
	return XDP_DROP;
}

SEC("tc")
int end_packet(struct __sk_buff *skb)
{
	if (skb->protocol != bpf_htons(ETH_P_IP))
		return TC_ACT_UNSPEC;
	count_one();
	return TC_ACT_SHOT;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
