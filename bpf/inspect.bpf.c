/* Questions to the kernel that no map look-up answers: read through iterators, never attached to a hook. */
#include <stdbool.h>
#include <linux/types.h>
#include "lib/inspect.h"

/* Every socket's translations: the place where the incumbent's stale entries would be. */
SEC("iter/bpf_sk_storage_map")
int inspect_translations(struct bpf_iter__bpf_sk_storage_map *context)
{
	struct socket_translations *storage = context->value;
	struct inspected_translation record = {};
	struct sock *sock = context->sk;

	if (!sock || !storage)
		return 0;
	record.socket_cookie = bpf_get_socket_cookie(sock);
	record.netns_cookie = sock->__sk_common.skc_net.net->net_cookie;
	record.protocol = sock->sk_protocol;
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
