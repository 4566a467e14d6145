/* A socket's call: what the eight hooks of connect, sendmsg, recvmsg and getpeername have in common. */
#pragma once
#include <linux/bpf.h>
#include <linux/in.h>
#include "config.h"
#include "drop.h"
#include "endpoint.h"
#include "identity.h"
#include "kernel_socket.h"
#include "question.h"
#include "service.h"
#include "translation.h"

#define EPERM 1
#define ECONNREFUSED 111

/* What a hook returns. */
#define SOCKET_PROCEED 1
#define SOCKET_REFUSE 0

/* An IPv6 socket names IPv4 addresses as mapped ones, which is how our maps name them: both families are alike here. */
static __always_inline struct peer socket_peer4(const struct bpf_sock_addr *call)
{
	return (struct peer){.address = address_from_ipv4(call->user_ip4), .port = (__be16)call->user_port};
}

static __always_inline struct peer socket_peer6(const struct bpf_sock_addr *call)
{
	return (struct peer){.address = {{call->user_ip6[0], call->user_ip6[1], call->user_ip6[2], call->user_ip6[3]}},
			     .port = (__be16)call->user_port};
}

static __always_inline void socket_set_peer4(struct bpf_sock_addr *call, const struct peer *peer)
{
	call->user_ip4 = peer->address.words[3];
	call->user_port = peer->port;
}

static __always_inline void socket_set_peer6(struct bpf_sock_addr *call, const struct peer *peer)
{
	call->user_ip6[0] = peer->address.words[0];
	call->user_ip6[1] = peer->address.words[1];
	call->user_ip6[2] = peer->address.words[2];
	call->user_ip6[3] = peer->address.words[3];
	call->user_port = peer->port;
}

static __always_inline struct socket_translations *socket_translations_of(struct bpf_sock_addr *call, __u64 flags)
{
	return call->sk ? bpf_sk_storage_get(&translations, call->sk, NULL, flags) : NULL;
}

static __always_inline struct connected_translation *socket_connected_of(struct bpf_sock_addr *call)
{
	struct connected_socket *place = connected_own_place(bpf_get_socket_cookie(call));

	if (place)
		return (struct connected_translation *)place;
	return call->sk ? bpf_sk_storage_get(&connected_translations, call->sk, NULL, 0) : NULL;
}

/*
 * The kernel does not tell when one of its own is closed (NFS, SMB), and nobody asks such a socket for its peer. Those
 * of UDP are connected by its threads.
 */
static __always_inline bool socket_is_of_kernel(struct bpf_sock_addr *call)
{
	struct tcp_sock *tcp = call->sk ? bpf_skc_to_tcp_sock(call->sk) : NULL;
	struct task_struct *task;

	if (tcp)
		return sock_is_of_kernel(&tcp->inet_conn.icsk_inet.sk);
	task = bpf_get_current_task_btf();
	return task->flags & PF_KTHREAD;
}

/* False: there is no memory for it. `connected` is what the socket has so far. */
static __always_inline bool socket_remember(struct bpf_sock_addr *call, struct connected_translation *connected,
					    const struct peer *frontend, const struct service_choice *choice)
{
	struct connected_translation translation = {
	    .backend_id = choice->backend_id,
	    .frontend = frontend->address,
	    .backend = choice->backend->address,
	    .frontend_port = frontend->port,
	    .backend_port = choice->backend->port,
	    .generation = choice->generation,
	};

	if (connected) {
		connected_store(connected, &translation);
		return true;
	}
	if (!socket_is_of_kernel(call) &&
	    connected_take_place(bpf_get_socket_cookie(call), bpf_get_netns_cookie(call), call->protocol, &translation))
		return true;
	return call->sk &&
	       bpf_sk_storage_get(&connected_translations, call->sk, &translation, BPF_SK_STORAGE_GET_F_CREATE) != NULL;
}

/* For affinity: the pod's address, so that the packet path means the same client; the node's for its own processes. */
static __always_inline struct address socket_client_in(__u64 cookie, bool is_ipv4)
{
	struct netns_endpoint *endpoint = bpf_map_lookup_elem(&netns_endpoints, &cookie);

	if (endpoint)
		return is_ipv4 ? endpoint->ipv4 : endpoint->ipv6;
	return is_ipv4 ? (struct address)config_gateway_ipv4 : (struct address)config_gateway_ipv6;
}

static __always_inline struct address socket_client(struct bpf_sock_addr *call, bool is_ipv4)
{
	return socket_client_in(bpf_get_netns_cookie(call), is_ipv4);
}

/*
 * The kernel (udpv6_sendmsg) turns a send on an IPv6 socket that is connected to a mapped address into one with the
 * address written out: the hook then sees the backend that connect() was given, and must keep the way back.
 */
static __always_inline bool socket_is_connected(const struct bpf_sock_addr *call)
{
	return call->sk && call->sk->state == BPF_TCP_ESTABLISHED;
}

/* A datagram follows the ones before it to the same service, as conntrack would have it. */
static __always_inline bool socket_choose_again(struct socket_translations *translations,
						const struct frontend *frontend, const struct service_request *request,
						const struct peer *peer, struct service_choice *choice)
{
	if (!translation_recall(translations, peer, choice))
		return false;
	return service_choice_holds(frontend, request, choice);
}

/* A call's address is replaced by one of its own family. */
static __always_inline bool socket_can_reach(const struct service_choice *choice, const struct address *peer)
{
	return address_is_ipv4(&choice->backend->address) == address_is_ipv4(peer);
}

static __always_inline bool socket_is_of_pod(struct bpf_sock_addr *call)
{
	__u64 cookie = bpf_get_netns_cookie(call);

	return bpf_map_lookup_elem(&netns_endpoints, &cookie) != NULL;
}

/* Where the policy is Local and all backends are elsewhere the packets are dropped, as the API documents it: not
 * refused. */
static __always_inline enum socket_result socket_result_of_none(const struct frontend *frontend)
{
	return frontend->flags & FRONTEND_FLAG_ELSEWHERE ? SOCKET_RESULT_UNCHANGED : SOCKET_RESULT_NO_BACKEND;
}

/* Few services ask who their client is. */
static __always_inline bool socket_may_use(struct bpf_sock_addr *call, const struct frontend *frontend,
					   struct service_request *request)
{
	if (!(frontend->flags & (FRONTEND_FLAG_AFFINITY | FRONTEND_FLAG_SOURCE_RANGES)))
		return true;
	request->client = socket_client(call, address_is_ipv4(&request->key.address));
	return !(frontend->flags & FRONTEND_FLAG_SOURCE_RANGES) ||
	       service_allows(frontend, &request->client, !socket_is_of_pod(call));
}

/* Where the socket sent to before connect() no longer matters: the kernel lets in what comes from its peer alone. */
static __always_inline void socket_forget_unconnected(struct bpf_sock_addr *call)
{
	struct socket_translations *translations = NULL;

	/* Others send with a connection only. */
	if (call->protocol == IPPROTO_UDP)
		translations = socket_translations_of(call, 0);
	if (translations)
		translations_clear(translations);
}

static __always_inline enum socket_result
socket_connect_to(struct bpf_sock_addr *call, struct connected_translation *connected, const struct frontend *frontend,
		  struct service_request *request, const struct peer *peer, struct service_choice *choice)
{
	if (!socket_may_use(call, frontend, request))
		return SOCKET_RESULT_NOT_ALLOWED;
	if (!service_choose(frontend, request, choice))
		return socket_result_of_none(frontend);
	if (!socket_can_reach(choice, &peer->address))
		return SOCKET_RESULT_NO_BACKEND;
	/* Without memory for the way back the packet path must do it. */
	return socket_remember(call, connected, peer, choice) ? SOCKET_RESULT_TRANSLATED : SOCKET_RESULT_UNCHANGED;
}

static __always_inline enum socket_result
socket_translate_connect(struct bpf_sock_addr *call, const struct frontend *frontend, struct service_request *request,
			 const struct peer *peer, struct service_choice *choice)
{
	struct connected_translation *connected = socket_connected_of(call);
	enum socket_result result = socket_connect_to(call, connected, frontend, request, peer, choice);

	socket_forget_unconnected(call);
	if (connected && result != SOCKET_RESULT_TRANSLATED)
		connected_clear(connected);
	return result;
}

/* connect() to no family, which no hook sees, has taken the peer away. */
static __always_inline void socket_note_disconnected(struct bpf_sock_addr *call,
						     struct connected_translation *connected)
{
	if (connected && !socket_is_connected(call))
		connected_clear(connected);
}

/* sendto() to what the socket is connected to: only that backend's answers get in. */
static __always_inline bool socket_choose_connected(struct bpf_sock_addr *call, struct connected_translation *connected,
						    const struct frontend *frontend,
						    const struct service_request *request, const struct peer *peer,
						    struct service_choice *choice)
{
	if (!connected || !socket_is_connected(call) || !connected_recall(connected, peer, choice))
		return false;
	return service_choice_holds(frontend, request, choice);
}

static __always_inline enum socket_result socket_translate_send(struct bpf_sock_addr *call,
								const struct frontend *frontend,
								struct service_request *request,
								const struct peer *peer, struct service_choice *choice)
{
	struct connected_translation *connected = socket_connected_of(call);
	struct socket_translations *translations;

	if (socket_choose_connected(call, connected, frontend, request, peer, choice))
		return SOCKET_RESULT_TRANSLATED;
	socket_note_disconnected(call, connected);
	translations = socket_translations_of(call, BPF_SK_STORAGE_GET_F_CREATE);
	if (!translations)
		return SOCKET_RESULT_UNCHANGED;
	if (!socket_choose_again(translations, frontend, request, peer, choice)) {
		if (!socket_may_use(call, frontend, request))
			return SOCKET_RESULT_NOT_ALLOWED;
		if (!service_choose(frontend, request, choice))
			return socket_result_of_none(frontend);
	}
	if (!socket_can_reach(choice, &peer->address))
		return SOCKET_RESULT_NO_BACKEND;
	translation_store(translations, peer, choice);
	return SOCKET_RESULT_TRANSLATED;
}

/* Sends to an address of its own: what comes back from there belongs to no service. */
static __always_inline void socket_forget(struct bpf_sock_addr *call, const struct peer *peer, bool is_connect)
{
	struct connected_translation *connected = socket_connected_of(call);
	struct socket_translations *translations;

	if (is_connect) {
		socket_forget_unconnected(call);
		if (connected)
			connected_clear(connected);
		return;
	}
	socket_note_disconnected(call, connected);
	translations = socket_translations_of(call, 0);
	if (translations && !socket_is_connected(call))
		translation_forget_backend(translations, peer);
}

static __always_inline enum socket_result socket_translate(struct bpf_sock_addr *call, struct peer *peer,
							   bool is_connect)
{
	struct service_request request = {
	    .key = {.address = peer->address, .port = peer->port, .protocol = call->protocol},
	};
	struct frontend *frontend = frontend_find(&request.key);
	struct service_choice choice = {};
	enum socket_result result;

	if (!frontend || ((frontend->flags & FRONTEND_FLAG_LOOPBACK) && socket_is_of_pod(call))) {
		socket_forget(call, peer, is_connect);
		return SOCKET_RESULT_UNCHANGED;
	}
	result = is_connect ? socket_translate_connect(call, frontend, &request, peer, &choice)
			    : socket_translate_send(call, frontend, &request, peer, &choice);
	if (result == SOCKET_RESULT_TRANSLATED) {
		peer->address = choice.backend->address;
		peer->port = choice.backend->port;
	}
	return result;
}

/* A call that fails: no packet leaves that could be dropped. */
struct socket_refusal {
	enum drop_reason reason;
	__u32 identity;
	__u32 endpoint_id;
	struct address source;
	struct address destination;
	__be16 port;
	__u8 protocol;
};

/* Counted and told in the packet's place. */
static __always_inline void socket_report(const struct socket_refusal *refusal)
{
	struct counter *counter = counter_of(refusal->reason, DIRECTION_EGRESS);
	struct drop_event *event;

	/* The programs at the devices interrupt this one, on the same CPU. */
	if (counter)
		__sync_fetch_and_add(&counter->packets, 1);
	event = drop_event_reserve(refusal->reason);
	if (!event)
		return;
	event->direction = DIRECTION_EGRESS;
	event->trace_point = TRACE_POINT_SOCKET;
	event->ifindex = 0;
	__builtin_memset(&event->tuple, 0, sizeof(event->tuple));
	event->tuple.source = refusal->source;
	event->tuple.destination = refusal->destination;
	event->tuple.destination_port = refusal->port;
	event->tuple.protocol = refusal->protocol;
	event->source_identity = refusal->identity;
	event->destination_identity = 0;
	event->endpoint_id = refusal->endpoint_id;
	event->packet_length = 0;
	event->line = __LINE__;
	event->captured_length = 0;
	__builtin_memset(event->packet, 0, EVENT_PACKET_BYTES);
	bpf_ringbuf_submit(event, 0);
}

static __always_inline void socket_report_refusal(struct bpf_sock_addr *call, const struct peer *peer,
						  enum drop_reason reason)
{
	__u64 cookie = bpf_get_netns_cookie(call);
	struct netns_endpoint *endpoint = bpf_map_lookup_elem(&netns_endpoints, &cookie);
	struct socket_refusal refusal = {
	    .reason = reason,
	    .identity = endpoint ? endpoint->identity : IDENTITY_HOST,
	    .endpoint_id = endpoint ? endpoint->endpoint_id : 0,
	    .source = socket_client(call, address_is_ipv4(&peer->address)),
	    .destination = peer->address,
	    .port = peer->port,
	    .protocol = call->protocol,
	};

	socket_report(&refusal);
}

/* TCP is told at once what it would learn from a reset; a datagram goes on and gets its ICMP error. */
static __always_inline int socket_refuse_connection(struct bpf_sock_addr *call, const struct peer *peer)
{
	if (call->protocol != IPPROTO_TCP)
		return SOCKET_PROCEED;
	socket_report_refusal(call, peer, DROP_REASON_NO_BACKEND);
	bpf_set_retval(-ECONNREFUSED);
	return SOCKET_REFUSE;
}

/*
 * A pod's packets go on with the service's address, and its own program drops them. Those of the node pass no program
 * before the network: its processes get the answer that netfilter gives whose packets it drops on their way out.
 */
static __always_inline int socket_refuse_client(struct bpf_sock_addr *call, const struct peer *peer)
{
	if (socket_is_of_pod(call))
		return SOCKET_PROCEED;
	socket_report_refusal(call, peer, DROP_REASON_CLIENT_NOT_ALLOWED);
	bpf_set_retval(-EPERM);
	return SOCKET_REFUSE;
}

/* What a call returns that the service does not serve; *peer is as it was. */
static __always_inline int socket_conclude(struct bpf_sock_addr *call, const struct peer *peer,
					   enum socket_result result)
{
	if (result == SOCKET_RESULT_NO_BACKEND)
		return socket_refuse_connection(call, peer);
	return result == SOCKET_RESULT_NOT_ALLOWED ? socket_refuse_client(call, peer) : SOCKET_PROCEED;
}

/* True: *peer is the frontend that the socket's owner talks to. */
static __always_inline bool socket_translate_back(struct bpf_sock_addr *call, struct peer *peer)
{
	struct connected_translation *connected = socket_connected_of(call);
	struct socket_translations *translations;

	if (connected && connected_reverse(connected, peer))
		return true;
	translations = socket_translations_of(call, 0);
	return translations && translation_reverse(translations, peer);
}
