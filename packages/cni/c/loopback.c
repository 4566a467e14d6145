#define _GNU_SOURCE
#include "loopback.h"
#include "json.h"
#include "netlink.h"
#include "netns.h"

#include <errno.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool bring_up(struct failure *failure)
{
	struct requests requests = {0};
	struct ifinfomsg link = {
	    .ifi_family = AF_UNSPEC,
	    .ifi_index = (int)if_nametoindex("lo"),
	    .ifi_flags = IFF_UP,
	    .ifi_change = IFF_UP,
	};
	const char *action;
	int socket = netlink_open();
	int error;

	if (socket < 0)
		return fail(failure, CNI_IO, "open netlink in the pod's namespace: %s", strerror(errno));
	request_begin(&requests, "bring lo up", RTM_NEWLINK, 0, &link, sizeof(link));
	error = requests_send(socket, &requests, &action);
	close(socket);
	return !error || fail(failure, CNI_IO, "%s in the pod's namespace: %s", action, strerror(error));
}

static bool is_up(struct failure *failure)
{
	struct ifaddrs *addresses;
	bool up = false;

	if (getifaddrs(&addresses))
		return fail(failure, CNI_IO, "read the pod's addresses: %s", strerror(errno));
	for (struct ifaddrs *address = addresses; address; address = address->ifa_next)
		if (!strcmp(address->ifa_name, "lo") && (address->ifa_flags & IFF_UP))
			up = true;
	freeifaddrs(addresses);
	return up || fail(failure, CNI_DIFFERS, "lo is down in the pod's namespace");
}

static bool inside(const char *netns_path, bool (*act)(struct failure *failure), struct failure *failure)
{
	int netns = netns_open(netns_path, failure);
	bool done = false;

	if (netns < 0)
		return false;
	if (netns_enter(netns, failure)) {
		done = act(failure);
		netns_leave();
	}
	close(netns);
	return done;
}

/* Before 1.0.0 an address names its family. */
static void print_result(const char *version, const char *netns_path)
{
	bool named = version[0] == '0';

	printf("{\"cniVersion\":\"%s\",\"interfaces\":[{\"name\":\"lo\",\"mac\":\"00:00:00:00:00:00\",\"sandbox\":",
	       version);
	json_print_string(netns_path);
	printf("}],\"ips\":[{%s\"address\":\"127.0.0.1/8\",\"interface\":0},{%s\"address\":\"::1/"
	       "128\",\"interface\":0}]}\n",
	       named ? "\"version\":\"4\"," : "", named ? "\"version\":\"6\"," : "");
}

bool loopback_answer(const char *command, const char *version, struct failure *failure)
{
	const char *netns_path = getenv("CNI_NETNS");

	if (!netns_path)
		netns_path = "";
	if (!strcmp(command, "ADD")) {
		if (!inside(netns_path, bring_up, failure))
			return false;
		print_result(version, netns_path);
		return true;
	}
	/* lo goes with its namespace, and there is nothing that could run out. */
	if (!strcmp(command, "DEL") || !strcmp(command, "STATUS") || !strcmp(command, "GC"))
		return true;
	if (!strcmp(command, "CHECK"))
		return inside(netns_path, is_up, failure);
	return fail(failure, CNI_INVALID_ENVIRONMENT, "CNI_COMMAND %s is not known", command);
}
