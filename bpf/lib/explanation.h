/*
 * What a dry run tells: what became of the packet, in one row. Only the programs that `explain` loads write it, into a
 * map of their own; in the others all of this is dead code, which the verifier removes.
 */
#pragma once
#include "config.h"
#include "packet.h"

enum way {
	/* Nowhere: dropped. */
	WAY_NONE = 0,
	/* Into a pod of this node. */
	WAY_POD = 1,
	/* To the host's stack. */
	WAY_HOST = 2,
	/* Through the tunnel, to another node. */
	WAY_TUNNEL = 3,
	/* Out of a device, past the host's stack. */
	WAY_DEVICE = 4,
};

struct explanation {
	/* As it leaves; where it was dropped and answered, as it came. */
	struct tuple tuple;
	/* The frontend that it was translated from, per packet; all zero: it was not. */
	struct tuple_end frontend;
	/* Of a tunnel the node; of a device the neighbour, all zero: the destination itself. */
	struct address next_hop;
	__u32 source_identity;
	__u32 destination_identity;
	__u32 endpoint_id;
	/* Where it goes, see `way`. */
	__u32 ifindex;
	/* enum drop_reason */
	__u32 reason;
	/* Source line that dropped it. */
	__u32 line;
	/* What would have fit. */
	__u32 mtu;
	/* Chosen for this packet; 0: none was. */
	__u32 backend_id;
	/* Somebody has written here: the programs of devices say nothing of what they let pass. */
	__u8 is_told;
	/* enum way */
	__u8 way;
	/* enum ct_status */
	__u8 ct_status;
	__u8 reserved[9];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct explanation);
} explanations SEC(".maps");

static __always_inline struct explanation *explanation_begin(const struct packet *packet)
{
	__u32 zero = 0;
	struct explanation *explanation = bpf_map_lookup_elem(&explanations, &zero);

	if (!explanation)
		return NULL;
	__builtin_memset(explanation, 0, sizeof(*explanation));
	explanation->is_told = 1;
	explanation->tuple = packet->tuple;
	explanation->frontend = packet->frontend;
	explanation->source_identity = packet->source_identity;
	explanation->destination_identity = packet->destination_identity;
	explanation->endpoint_id = packet->endpoint_id;
	explanation->backend_id = packet->backend_id;
	explanation->ct_status = packet->ct_status;
	return explanation;
}

static __always_inline void explanation_of_drop(const struct packet *packet, verdict_t verdict)
{
	struct explanation *explanation = explanation_begin(packet);

	if (!explanation)
		return;
	explanation->reason = verdict_reason(verdict);
	explanation->line = packet->line;
	explanation->mtu = packet->mtu;
}
