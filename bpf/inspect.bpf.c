/* Questions to the kernel that no map look-up answers: read through iterators, never attached to a hook. */
#include <stdbool.h>
#include <linux/types.h>
#include "lib/inspect.h"

static __always_inline struct inspected_translation inspected_socket(struct sock *sock)
{
	return (struct inspected_translation){
	    .socket_cookie = bpf_get_socket_cookie(sock),
	    .netns_cookie = sock->__sk_common.skc_net.net->net_cookie,
	    .protocol = sock->sk_protocol,
	};
}

/* What sockets are connected to: the place where the incumbent's stale entries would be. */
SEC("iter/bpf_sk_storage_map")
int inspect_connected(struct bpf_iter__bpf_sk_storage_map *context)
{
	struct connected_translation *connected = context->value;
	struct inspected_translation record;
	struct sock *sock = context->sk;

	if (!sock || !connected || connected->backend_id == 0)
		return 0;
	record = inspected_socket(sock);
	record.translation.frontend = connected->frontend;
	record.translation.backend = connected->backend;
	record.translation.frontend_port = connected->frontend_port;
	record.translation.backend_port = connected->backend_port;
	record.translation.backend_id = connected->backend_id;
	record.translation.generation = connected->generation;
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

/* What sockets send to without a connection. */
SEC("iter/bpf_sk_storage_map")
int inspect_translations(struct bpf_iter__bpf_sk_storage_map *context)
{
	struct socket_translations *storage = context->value;
	struct inspected_translation record;
	struct sock *sock = context->sk;

	if (!sock || !storage)
		return 0;
	record = inspected_socket(sock);
	for (int i = 0; i < SOCKET_TRANSLATIONS_MAX; i++) {
		if (address_is_zero(&storage->entries[i].backend))
			continue;
		record.translation = storage->entries[i];
		bpf_seq_write(context->meta->seq, &record, sizeof(record));
	}
	return 0;
}

/* How full each map is, by the kernel's own count (6.6): no walk over the entries. */
SEC("iter/bpf_map")
int inspect_map_usage(struct bpf_iter__bpf_map *context)
{
	struct bpf_map *map = context->map;
	struct inspected_map record = {};

	if (!map)
		return 0;
	record.id = map->id;
	record.entries = bpf_map_sum_elem_count(map);
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
