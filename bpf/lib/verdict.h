/* What a step decides, and why a packet is dropped. */
#pragma once
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include "address.h"

/* Numbers are part of the interface (metrics, events): only append. */
enum drop_reason {
	/* Not a drop: the counter's key for forwarded packets. */
	DROP_REASON_FORWARDED = 0,
	/* Ends before its headers do, or its lengths contradict each other. */
	DROP_REASON_INVALID_PACKET = 1,
	/* Neither ARP, IPv4 nor IPv6, VLAN-tagged, or of a family that is switched off. */
	DROP_REASON_UNKNOWN_ETHERTYPE = 2,
	/* No upper-layer protocol within IPV6_EXTENSIONS_MAX extension headers. */
	DROP_REASON_UNKNOWN_PROTOCOL = 3,
	DROP_REASON_INVALID_SOURCE_ADDRESS = 4,
	DROP_REASON_INVALID_SOURCE_MAC = 5,
	DROP_REASON_MAPPED_ADDRESS = 6,
	DROP_REASON_INVALID_TCP_FLAGS = 7,
	/* For an address that nobody has here: the pod is gone, or a route points to us wrongly. */
	DROP_REASON_STALE_OR_UNROUTABLE = 8,
	DROP_REASON_NO_TUNNEL_KEY = 9,
	DROP_REASON_ENCAP_FAILED = 10,
	DROP_REASON_INVALID_IDENTITY = 11,
	DROP_REASON_TTL_EXCEEDED = 12,
	/* Counted only: a connection that could not be remembered, and on which nothing depends. It is forwarded. */
	DROP_REASON_CT_CREATE_FAILED = 13,
	DROP_REASON_NO_BACKEND = 14,
	/* For a service, but of a protocol or from a place for which it is not served. */
	DROP_REASON_SERVICE_NOT_TRANSLATED = 15,
	DROP_REASON_WRITE_FAILED = 16,
	/* It must be translated, and the fragment with its ports has not come. */
	DROP_REASON_FRAGMENT_UNSUPPORTED = 17,
	DROP_REASON_INVALID_NEIGHBOUR_REQUEST = 18,
	DROP_REASON_TOO_BIG = 19,
	/* By the tunnel from an address that is no node's. */
	DROP_REASON_INVALID_TUNNEL_SENDER = 20,
	/* No address and port of the node is left for a connection to this destination. */
	DROP_REASON_NAT_EXHAUSTED = 21,
	/* Translated, it would be taken for another connection of the same client. */
	DROP_REASON_NAT_CONFLICT = 22,
	/* Without a number that could be changed (SCTP has none that we could mend the checksum of), and its own is
	   taken. */
	DROP_REASON_NAT_UNSUPPORTED = 23,
	/* The kernel's routes say unreachable, prohibit or blackhole. */
	DROP_REASON_NO_ROUTE = 24,
	/* Its connection could not be remembered, and it must be translated: its replies would not find back. */
	DROP_REASON_NOT_TRACKED = 25,
	/* It must be masqueraded, and the device has no address of its family. */
	DROP_REASON_NO_MASQUERADE_ADDRESS = 26,
	/* The service's policy is Local, and all its backends are on other nodes. */
	DROP_REASON_NO_LOCAL_BACKEND = 27,
	/* The service takes clients of other ranges only. */
	DROP_REASON_CLIENT_NOT_ALLOWED = 28,
	/* It carries the option by which nodes tell each other of a frontend, and no node has put it there. */
	DROP_REASON_FORGED_DSR_OPTION = 29,
	/* No packet: a process of the node asked for a port that a service has at its addresses. */
	DROP_REASON_PORT_OF_SERVICE = 30,
	/* From or to a loopback address, on a wire. */
	DROP_REASON_LOOPBACK_ADDRESS = 31,
	/* Its connection may be in the tables of the former version still: see takeover.h. */
	DROP_REASON_TABLES_TAKEN_OVER = 32,
	DROP_REASON_MAX = 33,
};

enum direction {
	DIRECTION_INGRESS = 0,
	DIRECTION_EGRESS = 1,
};

enum trace_point {
	TRACE_POINT_FROM_POD = 0,
	TRACE_POINT_TO_POD = 1,
	TRACE_POINT_FROM_OVERLAY = 2,
	TRACE_POINT_TO_OVERLAY = 3,
	TRACE_POINT_FROM_HOST = 4,
	TRACE_POINT_TO_HOST = 5,
	/* A call that was refused before a packet left. */
	TRACE_POINT_SOCKET = 6,
	/* A chosen device: what comes in from the network, and what goes out. */
	TRACE_POINT_FROM_NETWORK = 7,
	TRACE_POINT_TO_NETWORK = 8,
};

/* VERDICT_CONTINUE, VERDICT_TAKEN, a final action (TC_ACT_*, >= 0), or a drop reason, negated. */
typedef int verdict_t;

#define VERDICT_CONTINUE 0x100
/* It lives on elsewhere, and is counted there: neither forwarded nor dropped here. */
#define VERDICT_TAKEN 0x101

/* Does a step; if it decided, so has the caller. */
#define STEP(step)                                                                                                     \
	do {                                                                                                           \
		verdict_t step_verdict = (step);                                                                       \
		if (step_verdict != VERDICT_CONTINUE)                                                                  \
			return step_verdict;                                                                           \
	} while (0)

/* The line goes into the event: one reason can have several places. */
#define drop(packet, drop_reason) ((packet)->line = __LINE__, (verdict_t)(-(int)(drop_reason)))

static __always_inline bool verdict_is_drop(verdict_t verdict)
{
	return verdict < 0;
}

static __always_inline enum drop_reason verdict_reason(verdict_t verdict)
{
	return (enum drop_reason)(-verdict);
}
