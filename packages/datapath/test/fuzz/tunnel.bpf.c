// For test runs, whose packets came by no tunnel: writes what a tunnel's device would, then runs the program under test.
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} target SEC(".maps");

/* The mark is the VNI, the priority the sender's address in host order; 0: no tunnel. */
SEC("tc")
int from_tunnel(struct __sk_buff *skb)
{
	struct bpf_tunnel_key key = {.tunnel_id = skb->mark, .local_ipv4 = skb->priority, .tunnel_ttl = 64};

	if (skb->priority != 0)
		bpf_skb_set_tunnel_key(skb, &key, sizeof(key), 0);
	skb->mark = 0;
	skb->priority = 0;
	bpf_tail_call(skb, &target, 0);
	return 0xbad;
}

char _license[] SEC("license") = "GPL";
