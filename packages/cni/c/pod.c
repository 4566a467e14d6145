#define _GNU_SOURCE
#include "pod.h"
#include "netlink.h"
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/veth.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71
#endif

static int host_socket = -1;

static size_t address_length(int family)
{
	return family == AF_INET ? sizeof(struct in_addr) : sizeof(struct in6_addr);
}

static bool parse_mac(const char *text, unsigned char *mac)
{
	return text && sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4],
			      &mac[5]) == 6;
}

static bool parse_family(const struct message *message, const char *suffix, int family,
			 struct family_settings *settings)
{
	char key[FIELD_KEY_MAX];
	const char *address;
	const char *gateway;

	snprintf(key, sizeof(key), "address_%s", suffix);
	address = message_value(message, key);
	snprintf(key, sizeof(key), "gateway_%s", suffix);
	gateway = message_value(message, key);
	settings->family = address ? family : 0;
	if (!address)
		return true;
	return gateway && inet_pton(family, address, &settings->address) == 1 &&
	       inet_pton(family, gateway, &settings->gateway) == 1;
}

bool attachment_parse(const struct message *message, struct attachment *attachment, struct failure *failure)
{
	const char *mtu = message_value(message, "mtu");
	const char *route_mtu = message_value(message, "route_mtu");

	attachment->host_name = message_value(message, "host_name");
	attachment->pod_name = message_value(message, "pod_name");
	attachment->mtu = mtu ? (uint32_t)strtoul(mtu, NULL, 10) : 0;
	attachment->route_mtu = route_mtu ? (uint32_t)strtoul(route_mtu, NULL, 10) : 0;
	if (!attachment->host_name || !attachment->pod_name || !attachment->mtu || !attachment->route_mtu ||
	    !parse_mac(message_value(message, "host_mac"), attachment->host_mac) ||
	    !parse_mac(message_value(message, "pod_mac"), attachment->pod_mac) ||
	    !parse_family(message, "ipv4", AF_INET, &attachment->families[0]) ||
	    !parse_family(message, "ipv6", AF_INET6, &attachment->families[1]))
		return fail(failure, CNI_DECODE,
			    "the agent's answer cannot be read: sluice-cni and the agent differ in version");
	return true;
}

/* The host's side stays down: the agent brings it up when its programs stand. */
static void request_pair(struct requests *requests, int netns, const struct attachment *attachment)
{
	struct ifinfomsg host = {.ifi_family = AF_UNSPEC};
	struct ifinfomsg peer = {.ifi_family = AF_UNSPEC};
	struct rtattr *link_info;
	struct rtattr *data;
	struct rtattr *peer_info;

	request_begin(requests, "create the veth pair", RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, &host, sizeof(host));
	attribute_add_text(requests, IFLA_IFNAME, attachment->host_name);
	attribute_add(requests, IFLA_ADDRESS, attachment->host_mac, sizeof(attachment->host_mac));
	attribute_add_u32(requests, IFLA_MTU, attachment->mtu);
	link_info = attribute_begin(requests, IFLA_LINKINFO);
	attribute_add_text(requests, IFLA_INFO_KIND, "veth");
	data = attribute_begin(requests, IFLA_INFO_DATA);
	peer_info = attribute_begin(requests, VETH_INFO_PEER);
	{
		/* The peer's own header stands before its attributes. */
		struct rtattr *place = peer_info;

		memcpy(requests->data + requests->length, &peer, sizeof(peer));
		requests->length += NLMSG_ALIGN(sizeof(peer));
		attribute_add_text(requests, IFLA_IFNAME, attachment->pod_name);
		attribute_add(requests, IFLA_ADDRESS, attachment->pod_mac, sizeof(attachment->pod_mac));
		attribute_add_u32(requests, IFLA_MTU, attachment->mtu);
		attribute_add_u32(requests, IFLA_NET_NS_FD, (unsigned int)netns);
		attribute_end(requests, place);
	}
	attribute_end(requests, data);
	attribute_end(requests, link_info);
}

static void request_up(struct requests *requests, const char *action, unsigned int ifindex)
{
	struct ifinfomsg link = {
	    .ifi_family = AF_UNSPEC,
	    .ifi_index = (int)ifindex,
	    .ifi_flags = IFF_UP,
	    .ifi_change = IFF_UP,
	};

	request_begin(requests, action, RTM_NEWLINK, 0, &link, sizeof(link));
}

static void request_address(struct requests *requests, const struct family_settings *settings, unsigned int ifindex)
{
	size_t length = address_length(settings->family);
	struct ifaddrmsg address = {
	    .ifa_family = (unsigned char)settings->family,
	    .ifa_prefixlen = (unsigned char)(length * 8),
	    /* The agent gives an address once: nobody to ask for a duplicate, and a second saved. */
	    .ifa_flags = settings->family == AF_INET6 ? IFA_F_NODAD : 0,
	    .ifa_index = ifindex,
	};

	request_begin(requests, "add the address", RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof(address));
	attribute_add(requests, IFA_LOCAL, &settings->address, length);
	attribute_add(requests, IFA_ADDRESS, &settings->address, length);
}

static void request_mtu(struct requests *requests, uint32_t mtu)
{
	struct rtattr *metrics = attribute_begin(requests, RTA_METRICS);

	attribute_add_u32(requests, RTAX_MTU, mtu);
	attribute_end(requests, metrics);
}

static void request_routes(struct requests *requests, const struct attachment *attachment,
			   const struct family_settings *settings, unsigned int ifindex)
{
	size_t length = address_length(settings->family);
	struct rtmsg route = {
	    .rtm_family = (unsigned char)settings->family,
	    .rtm_dst_len = (unsigned char)(length * 8),
	    .rtm_table = RT_TABLE_MAIN,
	    .rtm_protocol = RTPROT_BOOT,
	    .rtm_scope = RT_SCOPE_LINK,
	    .rtm_type = RTN_UNICAST,
	};

	request_begin(requests, "add the route to the gateway", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route,
		      sizeof(route));
	attribute_add(requests, RTA_DST, &settings->gateway, length);
	attribute_add_u32(requests, RTA_OIF, ifindex);
	request_mtu(requests, attachment->route_mtu);

	route.rtm_dst_len = 0;
	route.rtm_scope = RT_SCOPE_UNIVERSE;
	request_begin(requests, "add the default route", RTM_NEWROUTE, NLM_F_CREATE | NLM_F_EXCL, &route,
		      sizeof(route));
	attribute_add(requests, RTA_GATEWAY, &settings->gateway, length);
	attribute_add_u32(requests, RTA_OIF, ifindex);
	request_mtu(requests, attachment->route_mtu);
}

static bool write_setting(const char *pod_name, const char *name, const char *value, struct failure *failure)
{
	char path[128];
	int file;
	bool written;

	snprintf(path, sizeof(path), "/proc/sys/net/ipv6/conf/%s/%s", pod_name, name);
	file = open(path, O_WRONLY | O_CLOEXEC);
	/* A kernel booted with ipv6.disable=1 has no such files and needs no such settings. */
	if (file < 0 && errno == ENOENT)
		return true;
	written = file >= 0 && write(file, value, strlen(value)) >= 0;
	if (!written)
		fail(failure, CNI_IO, "write %s to %s: %s", value, path, strerror(errno));
	if (file >= 0)
		close(file);
	return written;
}

/* A router advertisement must never move a pod's routes (CVE-2020-10749); /proc/sys/net is that of the caller. */
static bool write_settings(const struct attachment *attachment, struct failure *failure)
{
	bool ipv6 = attachment->families[1].family != 0;

	return write_setting(attachment->pod_name, "disable_ipv6", ipv6 ? "0" : "1", failure) &&
	       write_setting(attachment->pod_name, "accept_ra", "0", failure) &&
	       write_setting(attachment->pod_name, "autoconf", "0", failure) &&
	       write_setting(attachment->pod_name, "accept_dad", "0", failure);
}

struct search {
	const struct in6_addr *address;
	bool found;
};

static void visit_local_route(struct nlmsghdr *message, void *context)
{
	struct rtmsg *route = NLMSG_DATA(message);
	struct search *search = context;
	int left = (int)RTM_PAYLOAD(message);

	if (message->nlmsg_type != RTM_NEWROUTE || route->rtm_type != RTN_LOCAL)
		return;
	for (struct rtattr *value = RTM_RTA(route); RTA_OK(value, left); value = RTA_NEXT(value, left))
		if (value->rta_type == RTA_DST && !memcmp(RTA_DATA(value), search->address, sizeof(*search->address)))
			search->found = true;
}

#define READY_ATTEMPTS 1000
#define READY_PAUSE_NS 1000000

/*
 * The kernel takes packets for an IPv6 address only when a worker of its own has made the address's route, which on a
 * busy machine takes a while after the address is there (addrconf_dad_work). A pod that has been added can be reached.
 * Gives up after a second: then the worker is late, not the address wrong.
 */
static void await_ipv6(int socket, const struct family_settings *settings)
{
	struct timespec pause = {.tv_nsec = READY_PAUSE_NS};
	struct search search = {.address = &settings->address};

	for (int attempt = 0; attempt < READY_ATTEMPTS; attempt++) {
		if (netlink_dump(socket, RTM_GETROUTE, AF_INET6, visit_local_route, &search) || search.found)
			return;
		nanosleep(&pause, NULL);
	}
}

static bool configure_inside(const struct attachment *attachment, struct pod_facts *facts, struct failure *failure)
{
	struct requests requests = {0};
	const char *action;
	int error;
	socklen_t length = sizeof(facts->netns_cookie);
	int socket = netlink_open();

	if (socket < 0)
		return fail(failure, CNI_IO, "open netlink in the pod's namespace: %s", strerror(errno));
	facts->pod_ifindex = if_nametoindex(attachment->pod_name);
	if (!facts->pod_ifindex || getsockopt(socket, SOL_SOCKET, SO_NETNS_COOKIE, &facts->netns_cookie, &length)) {
		close(socket);
		return fail(failure, CNI_IO, "look at %s in the pod's namespace: %s", attachment->pod_name,
			    strerror(errno));
	}
	if (!write_settings(attachment, failure)) {
		close(socket);
		return false;
	}
	request_up(&requests, "bring lo up", if_nametoindex("lo"));
	request_up(&requests, "bring the pod's device up", facts->pod_ifindex);
	for (int index = 0; index < FAMILIES; index++) {
		if (!attachment->families[index].family)
			continue;
		request_address(&requests, &attachment->families[index], facts->pod_ifindex);
		request_routes(&requests, attachment, &attachment->families[index], facts->pod_ifindex);
	}
	error = requests_send(socket, &requests, &action);
	if (!error && attachment->families[1].family)
		await_ipv6(socket, &attachment->families[1]);
	close(socket);
	if (error)
		return fail(failure, CNI_IO, "%s in the pod's namespace: %s", action, strerror(error));
	return true;
}

static bool create_pair(int netns, const struct attachment *attachment, struct failure *failure)
{
	struct requests requests = {0};
	const char *action;
	int error;

	if (host_socket >= 0)
		close(host_socket);
	host_socket = netlink_open();
	if (host_socket < 0)
		return fail(failure, CNI_IO, "open netlink: %s", strerror(errno));
	request_pair(&requests, netns, attachment);
	error = requests_send(host_socket, &requests, &action);
	if (error == EEXIST)
		return fail(failure, CNI_INTERFACE_EXISTS, "%s: %s is already there in the pod, or %s on the node",
			    action, attachment->pod_name, attachment->host_name);
	if (error)
		return fail(failure, CNI_IO, "%s %s: %s", action, attachment->host_name, strerror(error));
	return true;
}

bool pod_configure(int netns, const struct attachment *attachment, struct pod_facts *facts, struct failure *failure)
{
	struct stat status;
	bool configured = false;

	if (!create_pair(netns, attachment, failure))
		return false;
	facts->host_ifindex = if_nametoindex(attachment->host_name);
	facts->netns_inode = fstat(netns, &status) ? 0 : status.st_ino;
	if (netns_enter(netns, failure)) {
		configured = configure_inside(attachment, facts, failure);
		netns_leave();
	}
	if (!configured)
		pod_remove(attachment);
	return configured;
}

/* By a socket that was opened outside: it stays in the node's namespace. Both ends go. */
void pod_remove(const struct attachment *attachment)
{
	struct requests requests = {0};
	struct ifinfomsg link = {.ifi_family = AF_UNSPEC};
	const char *action;

	if (host_socket < 0)
		host_socket = netlink_open();
	request_begin(&requests, "delete the veth pair", RTM_DELLINK, 0, &link, sizeof(link));
	attribute_add_text(&requests, IFLA_IFNAME, attachment->host_name);
	requests_send(host_socket, &requests, &action);
}
