/* The kernel's types of sockets, as far as we read them. */
#pragma once
#include <stdbool.h>
#include <linux/in6.h>
#include <linux/types.h>

struct net {
	__u64 net_cookie;
} __attribute__((preserve_access_index));

typedef struct {
	struct net *net;
} __attribute__((preserve_access_index)) possible_net_t;

struct sock_common {
	__be32 skc_daddr;
	__be16 skc_dport;
	unsigned short skc_family;
	struct in6_addr skc_v6_daddr;
	possible_net_t skc_net;
} __attribute__((preserve_access_index));

struct sock {
	struct sock_common __sk_common;
	__u16 sk_protocol;
	__u8 sk_kern_sock : 1;
} __attribute__((preserve_access_index));

struct inet_sock {
	struct sock sk;
} __attribute__((preserve_access_index));

struct inet_connection_sock {
	struct inet_sock icsk_inet;
} __attribute__((preserve_access_index));

struct tcp_sock {
	struct inet_connection_sock inet_conn;
} __attribute__((preserve_access_index));

struct task_struct {
	unsigned int flags;
} __attribute__((preserve_access_index));

/* include/linux/sched.h */
#define PF_KTHREAD 0x00200000

/* Kinds of __builtin_preserve_field_info, as the kernel's enum bpf_core_relo_kind has them. */
enum field_info {
	FIELD_INFO_BYTE_OFFSET = 0,
	FIELD_INFO_LEFT_SHIFT = 4,
	FIELD_INFO_RIGHT_SHIFT = 5,
};

/* A field of one bit has no address of its own. */
static __always_inline bool sock_is_of_kernel(const struct sock *sock)
{
	const __u8 *byte =
	    (const void *)sock + __builtin_preserve_field_info(sock->sk_kern_sock, FIELD_INFO_BYTE_OFFSET);
	__u64 bits = *byte;

	bits <<= __builtin_preserve_field_info(sock->sk_kern_sock, FIELD_INFO_LEFT_SHIFT);
	bits >>= __builtin_preserve_field_info(sock->sk_kern_sock, FIELD_INFO_RIGHT_SHIFT);
	return bits != 0;
}
