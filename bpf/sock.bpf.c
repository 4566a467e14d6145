/*
 * Services at the socket: translated once at connect or sendmsg, undone at recvmsg and getpeername, forgotten at the
 * end. At bind the node's own processes are kept off the ports that services have.
 */
#include "lib/bind.h"
#include "lib/socket.h"

static __always_inline int forward4(struct bpf_sock_addr *call, bool is_connect)
{
	struct peer peer = socket_peer4(call);
	enum socket_result result = socket_translate(call, &peer, is_connect);

	if (result == SOCKET_RESULT_TRANSLATED)
		socket_set_peer4(call, &peer);
	return socket_conclude(call, &peer, result);
}

static __always_inline int forward6(struct bpf_sock_addr *call, bool is_connect)
{
	struct peer peer = socket_peer6(call);
	enum socket_result result = socket_translate(call, &peer, is_connect);

	if (result == SOCKET_RESULT_TRANSLATED)
		socket_set_peer6(call, &peer);
	return socket_conclude(call, &peer, result);
}

static __always_inline int back4(struct bpf_sock_addr *call)
{
	struct peer peer = socket_peer4(call);

	if (socket_translate_back(call, &peer))
		socket_set_peer4(call, &peer);
	return SOCKET_PROCEED;
}

static __always_inline int back6(struct bpf_sock_addr *call)
{
	struct peer peer = socket_peer6(call);

	if (socket_translate_back(call, &peer))
		socket_set_peer6(call, &peer);
	return SOCKET_PROCEED;
}

/* close() of the last descriptor, also by the end of a process. */
SEC("cgroup/sock_release")
int sock_release(struct bpf_sock *sock)
{
	connected_leave_place(bpf_get_socket_cookie(sock));
	return SOCKET_PROCEED;
}

SEC("cgroup/connect4")
int sock_connect4(struct bpf_sock_addr *call)
{
	return forward4(call, true);
}

SEC("cgroup/connect6")
int sock_connect6(struct bpf_sock_addr *call)
{
	return forward6(call, true);
}

SEC("cgroup/sendmsg4")
int sock_sendmsg4(struct bpf_sock_addr *call)
{
	return forward4(call, false);
}

SEC("cgroup/sendmsg6")
int sock_sendmsg6(struct bpf_sock_addr *call)
{
	return forward6(call, false);
}

SEC("cgroup/recvmsg4")
int sock_recvmsg4(struct bpf_sock_addr *call)
{
	return back4(call);
}

SEC("cgroup/recvmsg6")
int sock_recvmsg6(struct bpf_sock_addr *call)
{
	return back6(call);
}

SEC("cgroup/getpeername4")
int sock_getpeername4(struct bpf_sock_addr *call)
{
	return back4(call);
}

SEC("cgroup/getpeername6")
int sock_getpeername6(struct bpf_sock_addr *call)
{
	return back6(call);
}

SEC("cgroup/post_bind4")
int sock_post_bind4(struct bpf_sock *sock)
{
	struct address address = address_from_ipv4(sock->src_ip4);

	return bind_decide(sock, &address);
}

SEC("cgroup/post_bind6")
int sock_post_bind6(struct bpf_sock *sock)
{
	struct address address = {{sock->src_ip6[0], sock->src_ip6[1], sock->src_ip6[2], sock->src_ip6[3]}};

	return bind_decide(sock, &address);
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
