/* Ends sockets that the agent has named, in the network namespace of who reads: iterators, attached to no hook. */
#include <stdbool.h>
#include <linux/types.h>
#include "lib/stale.h"

SEC("iter/udp")
int stale_udp(struct bpf_iter__udp *context)
{
	struct sock_common *sock = (struct sock_common *)context->udp_sk;

	if (sock)
		stale_end(context->meta->seq, sock);
	return 0;
}

SEC("iter/tcp")
int stale_tcp(struct bpf_iter__tcp *context)
{
	struct sock_common *sock = context->sk_common;

	if (sock)
		stale_end(context->meta->seq, sock);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
