/*
 * Hook: the kernel's kfree_skb tracepoint, where it frees packets that did not arrive, of the whole machine and all its
 * namespaces: what is not ours is left as early as can be. Each step narrows down; counting and telling come last.
 */
#include "lib/endpoint.h"
#include "lib/kfree.h"
#include "lib/skb.h"

/* The arguments of the tracepoint; 6.11 put a fourth behind them. */
struct kfree_arguments {
	__u64 skb;
	__u64 location;
	__u64 reason;
};

/* A freed packet of ours. */
struct freed {
	struct sk_buff *skb;
	struct net_device *device;
	__u64 location;
	__u32 reason;
	__u32 endpoint_id;
};

static __always_inline bool kfree_is_ignored(const struct kernel_drop_settings *settings, __u32 reason)
{
	return reason < KERNEL_REASON_WORDS * 64 &&
	       (settings->ignored_reasons[(reason >> 6) & (KERNEL_REASON_WORDS - 1)] >> (reason & 63)) & 1;
}

static __always_inline bool kfree_is_own_shot(const struct kernel_drop_settings *settings, const struct freed *freed)
{
	return (freed->reason == settings->tc_ingress_reason || freed->reason == settings->tc_egress_reason) &&
	       shot_take((__u64)freed->skb);
}

/* Where the packet's headers begin, as offsets from the buffer's head. */
struct span {
	__u32 start;
	__u32 network;
	__u32 end;
};

static __always_inline struct span kfree_span(const struct sk_buff *skb)
{
	struct span span = {.start = skb->mac_header, .network = skb->network_header, .end = skb->tail};

	if (span.start + ETH_HLEN != span.network)
		span.start = span.network;
	return span;
}

static __always_inline __u8 kfree_packet_type(const struct sk_buff *skb)
{
	__u8 type = 0;

	bpf_probe_read_kernel(&type, sizeof(type), &skb->__pkt_type_offset);
	return type & PACKET_TYPE_MASK;
}

/* The kernel classifies only what comes in; what goes out has the bit in its destination MAC. */
static __always_inline bool kfree_is_for_group(const struct sk_buff *skb, __u8 type)
{
	struct span span = kfree_span(skb);
	__u8 first = 0;

	if (type == PACKET_TYPE_BROADCAST || type == PACKET_TYPE_MULTICAST)
		return true;
	if (span.start == span.network)
		return false;
	bpf_probe_read_kernel(&first, sizeof(first), skb->head + span.start);
	return first & 1;
}

/* Nobody listens to what is said to a group, or to another machine on a network of many: no loss. */
static __always_inline bool kfree_is_for_somebody(const struct sk_buff *skb, bool is_shared)
{
	__u8 type = kfree_packet_type(skb);

	return !kfree_is_for_group(skb, type) && !(is_shared && type == PACKET_TYPE_OTHER_HOST);
}

static __always_inline bool kfree_is_of_node(const struct freed *freed)
{
	__u32 ifindex = freed->device->ifindex;
	__u32 *flags = bpf_map_lookup_elem(&kernel_devices, &ifindex);

	return flags && kfree_is_for_somebody(freed->skb, *flags & KERNEL_DEVICE_FLAG_SHARED);
}

/* Inside a pod only the interface that we gave it is ours; it is known by its MAC. */
static __always_inline bool kfree_is_of_pod(struct freed *freed, __u64 netns_cookie)
{
	struct netns_endpoint *pod = bpf_map_lookup_elem(&netns_endpoints, &netns_cookie);
	struct address address;
	struct endpoint *endpoint;
	struct mac mac = {};

	if (!pod)
		return false;
	address = address_is_zero(&pod->ipv4) ? pod->ipv6 : pod->ipv4;
	endpoint = endpoint_lookup(&address);
	bpf_probe_read_kernel(&mac, sizeof(mac), freed->device->dev_addr);
	if (!endpoint || !mac_equal(&mac, &endpoint->mac))
		return false;
	freed->endpoint_id = pod->endpoint_id;
	return kfree_is_for_somebody(freed->skb, false);
}

static __always_inline bool kfree_is_ours(const struct kernel_drop_settings *settings, struct freed *freed)
{
	__u64 netns_cookie = freed->device->nd_net.net->net_cookie;

	return netns_cookie == settings->netns_cookie ? kfree_is_of_node(freed) : kfree_is_of_pod(freed, netns_cookie);
}

static const char FUNCTION_FORMAT[] = "%ps";

static __always_inline void kfree_name(__u64 location, __u8 *name)
{
	bpf_snprintf((char *)name, KERNEL_FUNCTION_BYTES, FUNCTION_FORMAT, &location, sizeof(location));
}

static const char TCP[] = "tcp_", UDP[] = "udp", UDP_COMMON[] = "__udp", RAW[] = "raw", SOCKET[] = "sock_",
		  SK[] = "sk_", PACKET[] = "packet_rcv", RING[] = "tpacket_rcv", TEST_RUN[] = "bpf_prog_test_run";

#define STARTS_WITH(name, prefix) (bpf_strncmp((const char *)(name), sizeof(prefix) - 1, prefix) == 0)

static __always_inline bool kfree_is_transport(const __u8 *name)
{
	return STARTS_WITH(name, TCP) || STARTS_WITH(name, UDP) || STARTS_WITH(name, UDP_COMMON) ||
	       STARTS_WITH(name, RAW) || STARTS_WITH(name, SOCKET) || STARTS_WITH(name, SK) ||
	       STARTS_WITH(name, PACKET) || STARTS_WITH(name, RING) ||
	       /* No packet at all: a question of somebody's, such as `explain`. */
	       STARTS_WITH(name, TEST_RUN);
}

static __always_inline struct kernel_function *kfree_function(__u64 location)
{
	struct kernel_function *known = bpf_map_lookup_elem(&kernel_places, &location);
	struct kernel_function function = {};

	if (known)
		return known;
	kfree_name(location, function.name);
	function.is_transport = kfree_is_transport(function.name);
	bpf_map_update_elem(&kernel_places, &location, &function, BPF_ANY);
	return bpf_map_lookup_elem(&kernel_places, &location);
}

/* Where no reason is given, the place has to do: the end of a TCP connection, for one, looks like a drop. */
static __always_inline bool kfree_is_delivered(const struct kernel_drop_settings *settings, const struct freed *freed)
{
	struct kernel_function *function;

	if (freed->reason != settings->unspecified_reason)
		return false;
	function = kfree_function(freed->location);
	return function && function->is_transport;
}

static __always_inline struct counter *kfree_counter(const struct kernel_drop_key *key)
{
	struct counter *counter = bpf_map_lookup_elem(&kernel_drops, key);
	const struct counter zero = {};

	if (counter)
		return counter;
	bpf_map_update_elem(&kernel_drops, key, &zero, BPF_NOEXIST);
	return bpf_map_lookup_elem(&kernel_drops, key);
}

static __always_inline void kfree_count(const struct kernel_drop_settings *settings, const struct freed *freed)
{
	struct kernel_drop_key key = {
	    .reason = freed->reason,
	    .location = freed->reason == settings->unspecified_reason ? freed->location : 0,
	};
	struct counter *counter = kfree_counter(&key);

	if (!counter)
		return;
	counter->packets++;
	counter->bytes += freed->skb->len;
}

static __always_inline void kfree_capture(const struct sk_buff *skb, struct kernel_drop_event *event)
{
	struct span span = kfree_span(skb);
	__u32 length = span.end > span.start ? span.end - span.start : 0;

	if (length > EVENT_PACKET_BYTES)
		length = EVENT_PACKET_BYTES;
	/* The ring is not zeroed: what the packet does not fill must not show older events. */
	__builtin_memset(event->packet, 0, EVENT_PACKET_BYTES);
	if (bpf_probe_read_kernel(event->packet, length, skb->head + span.start) != 0)
		length = 0;
	event->captured_length = length;
	event->network_offset = span.network - span.start;
	/* `len` counts from `data`, which headers that were read are behind. */
	event->packet_length = skb->len + (__u32)(skb->data - skb->head) - span.start;
}

static __always_inline void kfree_tell(const struct freed *freed)
{
	__u64 now = bpf_ktime_get_ns();
	struct kernel_drop_event *event = event_reserve(EVENT_TYPE_KERNEL_DROP, sizeof(*event), now);

	if (!event)
		return;
	event->type = EVENT_TYPE_KERNEL_DROP;
	event->protocol = freed->skb->protocol;
	event->reason = freed->reason;
	event->timestamp_ns = now;
	event->endpoint_id = freed->endpoint_id;
	event->reserved = 0;
	bpf_probe_read_kernel(event->device, sizeof(event->device), &freed->device->name);
	kfree_name(freed->location, event->function);
	kfree_capture(freed->skb, event);
	bpf_ringbuf_submit(event, 0);
}

SEC("tp_btf/kfree_skb")
int kfree_seen(struct kfree_arguments *arguments)
{
	__u32 zero = 0;
	struct kernel_drop_settings *settings = bpf_map_lookup_elem(&kernel_settings, &zero);
	struct freed freed = {.reason = arguments->reason};

	if (!settings || kfree_is_ignored(settings, freed.reason))
		return 0;
	freed.skb = (struct sk_buff *)arguments->skb;
	freed.location = arguments->location;
	freed.device = freed.skb->dev;
	if (!freed.device || kfree_is_own_shot(settings, &freed) || !kfree_is_ours(settings, &freed) ||
	    kfree_is_delivered(settings, &freed))
		return 0;
	kfree_count(settings, &freed);
	kfree_tell(&freed);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
