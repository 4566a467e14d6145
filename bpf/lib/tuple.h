/* A tuple names a connection. */
#pragma once
#include "address.h"

/* In the direction of the connection's first packet. ICMP echo: the identifier stands in source_port, 0 in the other.
 */
struct tuple {
	struct address source;
	struct address destination;
	__be16 source_port;
	__be16 destination_port;
	__u8 protocol;
	__u8 reserved[3];
};

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
