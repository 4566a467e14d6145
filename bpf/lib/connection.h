/*
 * Connection tracking (ct). Two tables: what is not yet established lives in an LRU (`conntrack_new`), a handshake or
 * a first reply moves it into a plain hash (`conntrack`), which no flood can evict.
 *
 * A connection has one entry, under the tuple of its first packet as it is forwarded: destination translated, source
 * not (but for its port, where another connection has that tuple: conflict.h). Each translation adds an alias, an entry
 * that stands under the tuple that the other side of the translation sees and leads to the connection. An alias has no
 * life of its own: without its connection it counts as absent.
 *
 *   client -> frontend         alias (DNAT), leads to the backend
 *   client -> backend          the connection
 *   world -> node              alias (SNAT), leads to the client: replies to a translated source
 */
#pragma once
#include "limits.h"
#include "map.h"
#include "tuple.h"

enum ct_state {
	CT_STATE_NEW = 0,
	CT_STATE_ESTABLISHED = 1,
	/* A FIN in one direction. */
	CT_STATE_CLOSING = 2,
	/* FINs in both directions, or a RST. */
	CT_STATE_CLOSED = 3,
};

enum ct_kind {
	CT_KIND_CONNECTION = 0,
	CT_KIND_DNAT_ALIAS = 1,
	CT_KIND_SNAT_ALIAS = 2,
};

enum ct_flag {
	/* DSR, on the node that was asked: answers do not pass here, so that it sees one direction only. */
	CT_FLAG_ONE_WAY = 1,
	/* DSR, on the backend's node: which frontend the client named another node has told. */
	CT_FLAG_TOLD = 2,
};

struct connection {
	/* Past it the entry counts as absent. An alias has none. */
	__u64 expires_ns;
	__u64 created_ns;
	/* [0] in the tuple's direction, [1] replies. */
	__u64 packets[2];
	__u64 bytes[2];
	__u32 source_identity;
	__u32 destination_identity;
	/* Of a DNAT alias: chosen from the frontend, in which generation of its service. */
	__u32 backend_id;
	__u32 generation;
	/* The frontend that the client named. Of a DNAT alias: the backend. */
	struct tuple_end dnat;
	/*
	 * What the source is translated to. Of an SNAT alias: the client. Of a DNAT alias: the client as the backend
	 * sees him, where that is another port than his own.
	 */
	struct tuple_end snat;
	/* enum ct_state */
	__u8 state;
	/* enum ct_kind */
	__u8 kind;
	/* Union of the TCP flags seen, by direction as above. */
	__u8 tcp_flags[2];
	/* enum ct_flag */
	__u32 flags;
	/* Of CT_FLAG_ONE_WAY: when the backend's node was last told, see ct_told_now. */
	__u32 told;
	/* The port that the client has, where the tuple's is another one (conflict.h); else 0. */
	__be16 client_port;
	/* The translated one of the connection that had the tuple before, where that is known still; else 0. */
	__be16 former_port;
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, CONNTRACK_MAX);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, struct tuple);
	__type(value, struct connection);
} conntrack SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, CONNTRACK_NEW_MAX);
	__type(key, struct tuple);
	__type(value, struct connection);
} conntrack_new SEC(".maps");

/* [0] of each CPU: an entry that is being made, too large for the stack. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct connection);
} connection_drafts SEC(".maps");
