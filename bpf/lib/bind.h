/*
 * Ports of the node that services have: what a process of the node binds there, nobody would reach. It is told so at
 * bind(), as by kube-proxy of old, which held such ports open. What is bound before a service comes stays as it is.
 */
#pragma once
#include <linux/bpf.h>
#include "drop.h"
#include "identity.h"
#include "service.h"
#include "socket.h"

#define EADDRINUSE 98

/* Is the row one of the node's own addresses, or of one that somebody outside asks for? A ClusterIP takes no port. */
static __always_inline bool bind_row_exists(struct frontend_key *key)
{
	struct frontend *frontend = frontend_lookup(key);

	if (!frontend)
		return false;
	if (frontend->flags & (FRONTEND_FLAG_EXTERNAL | FRONTEND_FLAG_LOOPBACK))
		return true;
	key->scope = FRONTEND_SCOPE_EXTERNAL;
	return frontend_lookup(key) != NULL;
}

static __always_inline struct address bind_loopback(bool is_ipv4)
{
	return is_ipv4 ? address_from_ipv4(bpf_htonl(0x7f000001)) : (struct address){{0, 0, 0, bpf_htonl(1)}};
}

/*
 * To bind any address is to bind those with NodePorts, and loopback, where a host port stands that names no address.
 * One at a single address is left alone, as an external address: processes that serve such a service bind any.
 */
static __always_inline bool bind_any_is_taken(const struct frontend_key *wanted, bool is_ipv4)
{
	struct frontend_key key = *wanted;

	key.address = is_ipv4 ? address_from_ipv4(0) : (struct address){};
	if (bind_row_exists(&key))
		return true;
	key = *wanted;
	key.address = bind_loopback(is_ipv4);
	return bind_row_exists(&key);
}

__noinline int bind_is_taken(struct frontend_key *wanted)
{
	struct address unspecified;

	if (!wanted)
		return 0;
	unspecified = address_unspecified(&wanted->address);
	if (!address_equal(&wanted->address, &unspecified)) {
		frontend_resolve(wanted);
		return bind_row_exists(wanted);
	}
	if (address_is_ipv4(&wanted->address))
		return bind_any_is_taken(wanted, true);
	/* It takes IPv4 as well, unless IPV6_V6ONLY is set, which no program sees. */
	return bind_any_is_taken(wanted, false) || bind_any_is_taken(wanted, true);
}

/* Nobody sees a packet of it, so it is counted and told here. */
static __always_inline void bind_report(const struct frontend_key *wanted)
{
	struct socket_refusal refusal = {
	    .reason = DROP_REASON_PORT_OF_SERVICE,
	    .identity = IDENTITY_HOST,
	    .source = wanted->address,
	    .destination = wanted->address,
	    .port = wanted->port,
	    .protocol = wanted->protocol,
	};

	socket_report(&refusal);
}

/* The kernel undoes the bind that has just succeeded. */
static __always_inline int bind_decide(struct bpf_sock *sock, const struct address *address)
{
	struct frontend_key wanted = {
	    .address = *address,
	    .port = bpf_htons((__u16)sock->src_port),
	    .protocol = (__u8)sock->protocol,
	};
	struct frontend_key asked = wanted;

	if (!config_bind_protection || bpf_get_netns_cookie(sock) != config_host_netns_cookie)
		return SOCKET_PROCEED;
	if (!bind_is_taken(&asked))
		return SOCKET_PROCEED;
	bind_report(&wanted);
	bpf_set_retval(-EADDRINUSE);
	return SOCKET_REFUSE;
}
