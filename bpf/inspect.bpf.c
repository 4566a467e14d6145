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

static __always_inline void inspect_connected_to(struct inspected_translation *record,
						 const struct connected_translation *connected)
{
	record->translation = (struct translation){
	    .frontend = connected->frontend,
	    .backend = connected->backend,
	    .frontend_port = connected->frontend_port,
	    .backend_port = connected->backend_port,
	    .backend_id = connected->backend_id,
	    .generation = connected->generation,
	};
}

/* What sockets are connected to, of those without a place: the place where the incumbent's stale entries would be. */
SEC("iter/bpf_sk_storage_map")
int inspect_connected(struct bpf_iter__bpf_sk_storage_map *context)
{
	struct connected_translation *connected = context->value;
	struct inspected_translation record;
	struct sock *sock = context->sk;

	if (!sock || !connected || connected->backend_id == 0)
		return 0;
	record = inspected_socket(sock);
	inspect_connected_to(&record, connected);
	bpf_seq_write(context->meta->seq, &record, sizeof(record));
	return 0;
}

/* The same of those that have a place. */
SEC("iter/bpf_map_elem")
int inspect_connected_sockets(struct bpf_iter__bpf_map_elem *context)
{
	struct connected_socket *place = context->value;
	__u32 *index = context->key;
	struct inspected_translation record = {};

	if (!place || !index || place->round == 0 || place->backend_id == 0)
		return 0;
	record.socket_cookie = connected_cookie(*index, place->round);
	record.netns_cookie = place->netns_cookie;
	record.protocol = place->protocol;
	inspect_connected_to(&record, (struct connected_translation *)place);
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
