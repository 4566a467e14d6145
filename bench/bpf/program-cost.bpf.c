/*
 * Runs of one packet again and again (BPF_PROG_TEST_RUN does not put back what a program has written): each run
 * restores the packet, then goes on to the program that is measured. What the floor is: programs that do nothing. IPv4
 * and IPv6.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

#define PACKET_MAX 256

const volatile __u8 packet_bytes[PACKET_MAX];
const volatile __u32 packet_length;

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} measured SEC(".maps");

SEC("xdp.frags")
int restore_frame(struct xdp_md *frame)
{
	__s64 grown = (__s64)bpf_xdp_get_buff_len(frame) - packet_length;

	/* Headers that were put in front, or taken off. */
	if (grown != 0 && bpf_xdp_adjust_head(frame, (int)grown) != 0)
		return XDP_ABORTED;
	if (bpf_xdp_store_bytes(frame, 0, (void *)packet_bytes, packet_length) != 0)
		return XDP_ABORTED;
	bpf_tail_call(frame, &measured, 0);
	return XDP_ABORTED;
}

SEC("tc")
int restore_packet(struct __sk_buff *skb)
{
	if (bpf_skb_store_bytes(skb, 0, (void *)packet_bytes, packet_length, 0) != 0)
		return TC_ACT_SHOT;
	bpf_tail_call(skb, &measured, 0);
	return TC_ACT_SHOT;
}

SEC("xdp.frags")
int pass_frame(struct xdp_md *frame)
{
	return XDP_PASS;
}

SEC("tc")
int pass_packet(struct __sk_buff *skb)
{
	return TC_ACT_OK;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
