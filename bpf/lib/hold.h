/*
 * Fragments may come in any order, but only the first says what connection they belong to. Those that come before it
 * are held here, as bytes; when it comes, it and they are sent in again, in order, by cloning its socket buffer and
 * writing into it. The held are few, and the oldest gives way: what it was is counted as dropped.
 */
#pragma once
#include "drop.h"
#include "fragment.h"
#include "packet.h"
#include "verdict.h"

struct held_fragment {
	struct fragment_key key;
	/* 0: free. */
	__u32 length;
	/* The original went on, to the node's own stack. */
	__u8 is_copy;
	/* enum direction, for its counter */
	__u8 direction;
	__u8 reserved[2];
	__u8 bytes[FRAGMENT_HELD_BYTES];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, FRAGMENTS_HELD_MAX);
	__type(key, __u32);
	__type(value, struct held_fragment);
} held_fragments SEC(".maps");

/* [0]: counts up with every fragment held; its place is this modulo their number. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} held_count SEC(".maps");

static __always_inline bool fragment_key_equal(const struct fragment_key *a, const struct fragment_key *b)
{
	return a->id == b->id && a->protocol == b->protocol && address_equal(&a->source, &b->source) &&
	       address_equal(&a->destination, &b->destination);
}

static __always_inline struct held_fragment *hold_place(__u32 number)
{
	__u32 place = number % FRAGMENTS_HELD_MAX;

	return bpf_map_lookup_elem(&held_fragments, &place);
}

static __always_inline struct held_fragment *hold_next_place(void)
{
	__u32 zero = 0, *count = bpf_map_lookup_elem(&held_count, &zero);

	return count ? hold_place(__sync_fetch_and_add(count, 1)) : NULL;
}

static __always_inline void hold_count_lost(const struct held_fragment *held)
{
	struct counter *counter;

	if (held->length == 0 || held->is_copy)
		return;
	counter = counter_of(DROP_REASON_FRAGMENT_UNSUPPORTED, held->direction);
	if (!counter)
		return;
	counter->packets++;
	counter->bytes += held->length;
}

/* True: it waits for its first. Otherwise it may have its ports now. */
__noinline int hold(struct __sk_buff *skb, struct packet *packet, int is_copy)
{
	struct held_fragment *held;
	__u32 length = skb->len;

	if (!packet || config_dry_run || length < ETH_HLEN || length > FRAGMENT_HELD_BYTES)
		return 0;
	held = hold_next_place();
	if (!held)
		return 0;
	hold_count_lost(held);
	held->length = 0;
	/* By now 6.12 has lost the limits ("R4 invalid zero-sized read"), and the compiler would not look again. */
	asm volatile("" : "+r"(length));
	if (length < ETH_HLEN || length > FRAGMENT_HELD_BYTES || bpf_skb_load_bytes(skb, 0, held->bytes, length) != 0)
		return 0;
	held->key = fragment_key_of(packet);
	held->is_copy = is_copy != 0;
	held->direction = packet->direction;
	held->length = length;
	if (fragment_wait(packet))
		return 1;
	held->length = 0;
	return 0;
}

/* Where fragments are sent in again. */
struct hold_target {
	__u32 ifindex;
	/* BPF_F_INGRESS, or 0. */
	__u32 flags;
};

static __always_inline void hold_send(struct __sk_buff *skb, struct held_fragment *held,
				      const struct hold_target *target)
{
	__u32 length = held->length;

	held->length = 0;
	/* The verifier wants to see both limits. */
	if (length < ETH_HLEN || length > FRAGMENT_HELD_BYTES)
		return;
	if (bpf_skb_change_tail(skb, length, 0) == 0 &&
	    bpf_skb_store_bytes(skb, 0, held->bytes, length, BPF_F_RECOMPUTE_CSUM) == 0)
		bpf_clone_redirect(skb, target->ifindex, target->flags);
}

/* The first, then those that waited for it. Takes the packet. */
__noinline int hold_release(struct __sk_buff *skb, const struct packet *packet, const struct hold_target *target)
{
	__u32 zero = 0, *count = bpf_map_lookup_elem(&held_count, &zero);
	struct fragment_key key;

	if (!packet || !target || !count)
		return 0;
	key = fragment_key_of(packet);
	bpf_clone_redirect(skb, target->ifindex, target->flags);
	for (__u32 i = 0; i < FRAGMENTS_HELD_MAX; i++) {
		struct held_fragment *held = hold_place(*count + i);

		if (held && held->length != 0 && fragment_key_equal(&held->key, &key))
			hold_send(skb, held, target);
	}
	return 0;
}

/*
 * Holds what came too early, and sends it on its way when it can go. By sluice_host, past its pod's or tunnel's own
 * checks, which have been done: the program behind it translates and routes for both.
 */
static __always_inline verdict_t hold_fragments(struct __sk_buff *skb, struct packet *packet)
{
	struct hold_target target = {.ifindex = config_host_ifindex};

	if (packet->lacks_ports && hold(skb, packet, false))
		return VERDICT_TAKEN;
	if (packet->lacks_ports)
		return drop(packet, DROP_REASON_FRAGMENT_UNSUPPORTED);
	if (!packet->has_waiting)
		return VERDICT_CONTINUE;
	hold_release(skb, packet, &target);
	return VERDICT_TAKEN;
}
