/* Records that the iterators of inspect.bpf.c write, and the kernel's types that they read. */
#pragma once
#include "kernel_socket.h"
#include "translation.h"

struct inspected_translation {
	__u64 socket_cookie;
	/* Of the network namespace that the socket is in. */
	__u64 netns_cookie;
	/* IPPROTO_* */
	__u32 protocol;
	__u32 reserved;
	struct translation translation;
};

struct inspected_map {
	__s64 entries;
	__u32 id;
	__u32 reserved;
};

struct seq_file;

struct bpf_iter_meta {
	struct seq_file *seq;
} __attribute__((preserve_access_index));

struct bpf_map {
	__u32 id;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_sk_storage_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	struct sock *sk;
	void *value;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map_elem {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
	void *key;
	void *value;
} __attribute__((preserve_access_index));

struct bpf_iter__bpf_map {
	struct bpf_iter_meta *meta;
	struct bpf_map *map;
} __attribute__((preserve_access_index));

extern __s64 bpf_map_sum_elem_count(const struct bpf_map *map) __ksym;
