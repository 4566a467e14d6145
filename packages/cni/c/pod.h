/* What must be done inside the pod's network namespace. The agent says what, this says how. */
#pragma once
#include "conversation.h"
#include "failure.h"

#include <netinet/in.h>
#include <stdint.h>

#define FAMILIES 2

struct family_settings {
	/* AF_INET or AF_INET6; 0 where the pod has no address of the family. */
	int family;
	struct in6_addr address;
	struct in6_addr gateway;
};

struct attachment {
	const char *host_name;
	const char *pod_name;
	unsigned char host_mac[6];
	unsigned char pod_mac[6];
	uint32_t mtu;
	/* What fits through the tunnel; the device itself takes more, for pods on the same node. */
	uint32_t route_mtu;
	struct family_settings families[FAMILIES];
};

struct pod_facts {
	unsigned int host_ifindex;
	unsigned int pod_ifindex;
	uint64_t netns_cookie;
	uint64_t netns_inode;
};

bool attachment_parse(const struct message *message, struct attachment *attachment, struct failure *failure);

/* Creates the pair and configures the pod's side. Nothing is left behind when it fails. */
bool pod_configure(int netns, const struct attachment *attachment, struct pod_facts *facts, struct failure *failure);
/* Both ends of the pair; a missing one is success. */
void pod_remove(const struct attachment *attachment);

/* Sends one field for the device, each address and each route inside. */
bool pod_inspect(int netns, const char *pod_name, struct conversation *conversation, struct failure *failure);
