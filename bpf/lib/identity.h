/* Identities: numbers that stand for a set of labels. */
#pragma once
#include "endpoint.h"
#include "ipcache.h"
#include "packet.h"

/* Reserved ones, as the incumbent numbers them. */
#define IDENTITY_HOST 1
#define IDENTITY_WORLD 2
/* What fits into a VNI. */
#define IDENTITY_MAX 0xffffff

static __always_inline __u32 identity_of(const struct address *address)
{
	struct endpoint *endpoint = endpoint_lookup(address);
	struct ipcache_entry *entry;

	if (endpoint)
		return endpoint->identity;
	entry = ipcache_lookup(address);
	return entry ? entry->identity : IDENTITY_WORLD;
}
