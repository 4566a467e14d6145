/*
 * Questions that nobody would ask otherwise: what a socket's call would be given, connect or sendmsg; and what a
 * service has for a client of a kind.
 */
#pragma once
#include "address.h"
#include "map.h"

enum socket_result {
	/* Not for a service, or nothing to be done about it. */
	SOCKET_RESULT_UNCHANGED = 0,
	/* *peer is the backend now. */
	SOCKET_RESULT_TRANSLATED = 1,
	SOCKET_RESULT_NO_BACKEND = 2,
	/* Not of the source ranges. */
	SOCKET_RESULT_NOT_ALLOWED = 3,
};

struct socket_question {
	/* Whose call: the network namespace of its socket. */
	__u64 netns_cookie;
	/* What it names. */
	struct address address;
	/* From here on the answer: as whom the caller is known for affinity. */
	struct address client;
	struct address backend;
	__be16 port;
	__be16 backend_port;
	/* IPPROTO_* of the call. */
	__u8 protocol;
	/* enum socket_result */
	__u8 result;
	/* The client's choice before was kept. */
	__u8 is_by_affinity;
	__u8 reserved;
	/* Of the frontend. */
	__u32 service_id;
	__u32 generation;
	__u32 backend_count;
	__u32 affinity_seconds;
	__u32 backend_id;
	__u32 unused;
};

enum service_answer {
	/* No row is for this client: whoever asks is not asking a service. */
	SERVICE_ANSWER_NONE = 0,
	SERVICE_ANSWER_BACKEND = 1,
	SERVICE_ANSWER_NO_BACKEND = 2,
	/* Not of the source ranges. */
	SERVICE_ANSWER_NOT_ALLOWED = 3,
	/* FRONTEND_FLAG_ELSEWHERE */
	SERVICE_ANSWER_NO_LOCAL_BACKEND = 4,
};

struct service_question {
	/* What is asked for, by whom. */
	struct address address;
	struct address client;
	/* From here on the answer: the row's address; of a NodePort the unspecified one. */
	struct address frontend;
	/* One that this client would get now. */
	struct address backend;
	__be16 port;
	__be16 client_port;
	/* IPPROTO_* */
	__u8 protocol;
	/* Comes by the network, or from another node's pod. */
	__u8 is_external;
	/* A process of this node. */
	__u8 is_node;
	/* enum service_answer */
	__u8 answer;
	__be16 backend_port;
	/* enum frontend_scope */
	__u8 scope;
	/* The client's choice before was kept. */
	__u8 is_by_affinity;
	__u32 backend_id;
	/* Of the frontend. */
	__u32 service_id;
	__u32 generation;
	__u32 backend_count;
	__u32 affinity_seconds;
	/* enum frontend_flag */
	__u32 flags;
	__u32 maglev_size;
};
