#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(max_entries, 256);
	__type(key, __u32);
	__type(value, __u64);
} packets SEC(".maps");

const volatile __u32 config_length_min;

/* Counts packets by their protocol (ethertype, in wire order). */
SEC("tc")
int count(struct __sk_buff *skb)
{
	__u32 protocol = skb->protocol;
	__u64 one = 1, *counter;

	if (skb->len < config_length_min)
		return -1; /* TCX_NEXT */
	counter = bpf_map_lookup_elem(&packets, &protocol);
	if (counter)
		(*counter)++;
	else
		bpf_map_update_elem(&packets, &protocol, &one, BPF_ANY);
	return -1;
}

char _license[] SEC("license") = "GPL";
