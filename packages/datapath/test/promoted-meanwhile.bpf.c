// The program of pods, beside another CPU that promotes entries: each just when it was missed where it is to be, and
// the look into the table where it was is still to come.
#include "../../../bpf/lib/connection.h"

__noinline int promote_meanwhile(const struct tuple *key)
{
	struct connection *entry = key ? bpf_map_lookup_elem(&conntrack_new, key) : NULL;

	if (entry && bpf_map_update_elem(&conntrack, key, entry, BPF_ANY) == 0)
		bpf_map_delete_elem(&conntrack_new, key);
	return 0;
}

static __always_inline void *lookup_interrupted(void *map, const void *key)
{
	void *found = bpf_map_lookup_elem(map, key);

	if (!found && map == &conntrack)
		promote_meanwhile(key);
	return found;
}

#define bpf_map_lookup_elem(map, key) lookup_interrupted(map, key)
#include "../../../bpf/pod.bpf.c"
