/* A question about a socket's call that nobody makes: what connect or sendmsg would be given. */
#pragma once
#include "address.h"
#include "map.h"

enum socket_result {
	/* Not for a service, or nothing to be done about it. */
	SOCKET_RESULT_UNCHANGED = 0,
	/* *peer is the backend now. */
	SOCKET_RESULT_TRANSLATED = 1,
	SOCKET_RESULT_NO_BACKEND = 2,
	/* Not of the source ranges; never the answer to a question. */
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
	/* The caller is in no pod. */
	__u8 is_node;
	/* Of the frontend. */
	__u32 service_id;
	__u32 generation;
	__u32 backend_count;
	__u32 affinity_seconds;
	__u32 backend_id;
	/* enum frontend_flag. A program that may sleep cannot ask an LPM trie: who asks looks into source_ranges
	 * himself. */
	__u32 frontend_flags;
};
