#include "pod.h"
#include "netlink.h"
#include "netns.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <string.h>
#include <unistd.h>

struct inspection {
	struct conversation *conversation;
	unsigned int ifindex;
	bool sent;
};

static const struct rtattr *find_attribute(const struct rtattr *first, size_t length, int type)
{
	unsigned int left = (unsigned int)length;

	for (const struct rtattr *attribute = first; RTA_OK(attribute, left); attribute = RTA_NEXT(attribute, left))
		if (attribute->rta_type == type)
			return attribute;
	return NULL;
}

static void visit_link(struct nlmsghdr *message, void *context)
{
	struct inspection *inspection = context;
	struct ifinfomsg *link = NLMSG_DATA(message);
	const struct rtattr *mac = find_attribute(IFLA_RTA(link), IFLA_PAYLOAD(message), IFLA_ADDRESS);
	const unsigned char *bytes = mac ? RTA_DATA(mac) : NULL;

	if ((unsigned int)link->ifi_index != inspection->ifindex || !bytes || RTA_PAYLOAD(mac) != 6)
		return;
	inspection->sent &= field_print(inspection->conversation, "device", "%u %02x:%02x:%02x:%02x:%02x:%02x %s",
					inspection->ifindex, bytes[0], bytes[1], bytes[2], bytes[3], bytes[4], bytes[5],
					link->ifi_flags & IFF_UP ? "up" : "down");
}

static void visit_address(struct nlmsghdr *message, void *context)
{
	struct inspection *inspection = context;
	struct ifaddrmsg *address = NLMSG_DATA(message);
	const struct rtattr *value = find_attribute(IFA_RTA(address), IFA_PAYLOAD(message), IFA_ADDRESS);
	char text[INET6_ADDRSTRLEN];

	if (address->ifa_index != inspection->ifindex || !value)
		return;
	inet_ntop(address->ifa_family, RTA_DATA(value), text, sizeof(text));
	inspection->sent &= field_print(inspection->conversation, "address", "%s/%u", text, address->ifa_prefixlen);
}

static void visit_route(struct nlmsghdr *message, void *context)
{
	struct inspection *inspection = context;
	struct rtmsg *route = NLMSG_DATA(message);
	const struct rtattr *device = find_attribute(RTM_RTA(route), RTM_PAYLOAD(message), RTA_OIF);
	const struct rtattr *gateway = find_attribute(RTM_RTA(route), RTM_PAYLOAD(message), RTA_GATEWAY);
	char text[INET6_ADDRSTRLEN];

	if (route->rtm_table != RT_TABLE_MAIN || route->rtm_dst_len || !gateway || !device ||
	    *(unsigned int *)RTA_DATA(device) != inspection->ifindex)
		return;
	inet_ntop(route->rtm_family, RTA_DATA(gateway), text, sizeof(text));
	inspection->sent &= field_print(inspection->conversation, "gateway", "%s", text);
}

static bool inspect_inside(struct inspection *inspection, const char *pod_name, struct failure *failure)
{
	int socket;
	int error;

	inspection->ifindex = if_nametoindex(pod_name);
	/* No device: the agent sees that by its absence. */
	if (!inspection->ifindex)
		return true;
	socket = netlink_open();
	if (socket < 0)
		return fail(failure, CNI_IO, "open netlink in the pod's namespace: %s", strerror(errno));
	error = netlink_dump(socket, RTM_GETLINK, AF_UNSPEC, visit_link, inspection);
	if (!error)
		error = netlink_dump(socket, RTM_GETADDR, AF_UNSPEC, visit_address, inspection);
	if (!error)
		error = netlink_dump(socket, RTM_GETROUTE, AF_UNSPEC, visit_route, inspection);
	close(socket);
	if (error)
		return fail(failure, CNI_IO, "read the pod's network: %s", strerror(error));
	return inspection->sent || fail(failure, CNI_TRY_AGAIN, "the agent went away");
}

bool pod_inspect(int netns, const char *pod_name, struct conversation *conversation, struct failure *failure)
{
	struct inspection inspection = {.conversation = conversation, .sent = true};
	bool inspected;

	if (!netns_enter(netns, failure))
		return false;
	inspected = inspect_inside(&inspection, pod_name, failure);
	netns_leave();
	return inspected;
}
