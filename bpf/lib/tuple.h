/* A tuple names a connection. */
#pragma once
#include "address.h"

/*
 * In the direction of the connection's first packet. ICMP echo: the identifier stands in source_port, 0 in the other.
 * Aligned, so that it is copied and compared by words of 8 bytes, and the packet context with it.
 */
struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
} __attribute__((aligned(8)));

/* One side of a connection. All zero: none. */
struct tuple_end {
	struct address address;
	/* ICMP echo: the identifier. */
	__be16 port;
	__u8 reserved[2];
};

static __always_inline bool tuple_end_is_none(const struct tuple_end *end)
{
	return address_is_zero(&end->address);
}

static __always_inline bool tuple_end_equal(const struct tuple_end *a, const struct tuple_end *b)
{
	return a->port == b->port && address_equal(&a->address, &b->address);
}

static __always_inline struct tuple_end tuple_source(const struct tuple *tuple)
{
	return (struct tuple_end){.address = tuple->source, .port = tuple->source_port};
}

static __always_inline struct tuple_end tuple_destination(const struct tuple *tuple)
{
	return (struct tuple_end){.address = tuple->destination, .port = tuple->destination_port};
}

static __always_inline struct tuple tuple_reverse(const struct tuple *tuple)
{
	return (struct tuple){
	    .source = tuple->destination,
	    .destination = tuple->source,
	    .source_port = tuple->destination_port,
	    .destination_port = tuple->source_port,
	    .protocol = tuple->protocol,
	};
}
