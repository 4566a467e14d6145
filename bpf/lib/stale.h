/*
 * Sockets that were led to a backend which is gone. A connected UDP socket would send to it for ever, and hears
 * nothing: the agent names it here and runs the iterators of stale.bpf.c in its network namespace. They alone hold the
 * socket's lock, without which nobody may end it.
 */
#pragma once
#include "inspect.h"
#include "limits.h"
#include "map.h"
#include "translation.h"

/* A socket's cookie -> the backend that is gone. What has another peer by now is left alone. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, STALE_SOCKETS_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, __u64);
	__type(value, struct peer);
} stale_sockets SEC(".maps");

struct udp_sock;

struct bpf_iter__udp {
	struct bpf_iter_meta *meta;
	struct udp_sock *udp_sk;
} __attribute__((preserve_access_index));

struct bpf_iter__tcp {
	struct bpf_iter_meta *meta;
	struct sock_common *sk_common;
} __attribute__((preserve_access_index));

/* 6.5 */
extern int bpf_sock_destroy(struct sock_common *sock) __ksym;

static __always_inline bool stale_peer_is(struct sock_common *sock, const struct peer *backend)
{
	struct address address;

	if (sock->skc_family == 2 /* AF_INET */)
		address = address_from_ipv4(sock->skc_daddr);
	else
		address =
		    (struct address){{sock->skc_v6_daddr.in6_u.u6_addr32[0], sock->skc_v6_daddr.in6_u.u6_addr32[1],
				      sock->skc_v6_daddr.in6_u.u6_addr32[2], sock->skc_v6_daddr.in6_u.u6_addr32[3]}};
	return sock->skc_dport == backend->port && address_equal(&address, &backend->address);
}

/* The cookie of each that was ended is what the agent reads. */
static __always_inline void stale_end(struct seq_file *seq, struct sock_common *sock)
{
	__u64 cookie = bpf_get_socket_cookie(sock);
	struct peer *backend = bpf_map_lookup_elem(&stale_sockets, &cookie);

	if (!backend || !stale_peer_is(sock, backend))
		return;
	if (bpf_sock_destroy(sock) == 0)
		bpf_seq_write(seq, &cookie, sizeof(cookie));
}
