#include "netlink.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

int netlink_open(void)
{
	return socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
}

static void *append(struct requests *requests, const void *data, size_t length)
{
	size_t aligned = NLMSG_ALIGN(length);
	char *place = requests->data + requests->length;

	/* The caller's requests are of a fixed, small number; an overflow is a mistake in this program. */
	if (requests->length + aligned > sizeof(requests->data))
		__builtin_trap();
	memset(place, 0, aligned);
	if (data)
		memcpy(place, data, length);
	requests->length += aligned;
	if (requests->header)
		requests->header->nlmsg_len =
		    (unsigned int)(requests->data + requests->length - (char *)requests->header);
	return place;
}

void request_begin(struct requests *requests, const char *action, int type, int flags, const void *body, size_t length)
{
	struct nlmsghdr header = {
	    .nlmsg_type = (unsigned short)type,
	    .nlmsg_flags = (unsigned short)(NLM_F_REQUEST | NLM_F_ACK | flags),
	    .nlmsg_seq = requests->count + 1,
	};

	if (requests->count == REQUESTS_MAX)
		__builtin_trap();
	requests->actions[requests->count++] = action;
	requests->header = NULL;
	requests->header = append(requests, &header, sizeof(header));
	append(requests, body, length);
}

void attribute_add(struct requests *requests, int type, const void *value, size_t length)
{
	struct rtattr head = {
	    .rta_len = (unsigned short)RTA_LENGTH(length),
	    .rta_type = (unsigned short)type,
	};

	append(requests, &head, sizeof(head));
	append(requests, value, length);
}

void attribute_add_u32(struct requests *requests, int type, unsigned int value)
{
	attribute_add(requests, type, &value, sizeof(value));
}

void attribute_add_text(struct requests *requests, int type, const char *text)
{
	attribute_add(requests, type, text, strlen(text) + 1);
}

struct rtattr *attribute_begin(struct requests *requests, int type)
{
	struct rtattr head = {
	    .rta_len = sizeof(struct rtattr),
	    .rta_type = (unsigned short)type,
	};

	return append(requests, &head, sizeof(head));
}

void attribute_end(struct requests *requests, struct rtattr *attribute)
{
	attribute->rta_len = (unsigned short)(requests->data + requests->length - (char *)attribute);
}

int requests_send(int socket, struct requests *requests, const char **action)
{
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};
	char answer[16384] __attribute__((aligned(NLMSG_ALIGNTO)));
	unsigned int answered = 0;
	int first = 0;

	*action = requests->actions[0];
	if (sendto(socket, requests->data, requests->length, 0, (struct sockaddr *)&kernel, sizeof(kernel)) < 0)
		return errno;
	while (answered < requests->count) {
		ssize_t received = recv(socket, answer, sizeof(answer), 0);
		unsigned int left = (unsigned int)received;

		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0)
			return errno;
		for (struct nlmsghdr *message = (void *)answer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			struct nlmsgerr *error = NLMSG_DATA(message);

			if (message->nlmsg_type != NLMSG_ERROR)
				continue;
			answered++;
			if (error->error && !first) {
				first = -error->error;
				if (message->nlmsg_seq - 1 < requests->count)
					*action = requests->actions[message->nlmsg_seq - 1];
			}
		}
	}
	return first;
}

int netlink_dump(int socket, int type, int family, void (*visit)(struct nlmsghdr *message, void *context),
		 void *context)
{
	struct {
		struct nlmsghdr header;
		struct rtgenmsg body;
	} request = {
	    .header = {sizeof(request), (unsigned short)type, NLM_F_REQUEST | NLM_F_DUMP, 1, 0},
	    .body = {(unsigned char)family},
	};
	char answer[32768] __attribute__((aligned(NLMSG_ALIGNTO)));

	if (send(socket, &request, sizeof(request), 0) < 0)
		return errno;
	for (;;) {
		ssize_t received = recv(socket, answer, sizeof(answer), 0);
		unsigned int left = (unsigned int)received;

		if (received < 0 && errno == EINTR)
			continue;
		if (received < 0)
			return errno;
		for (struct nlmsghdr *message = (void *)answer; NLMSG_OK(message, left);
		     message = NLMSG_NEXT(message, left)) {
			if (message->nlmsg_type == NLMSG_DONE)
				return 0;
			if (message->nlmsg_type == NLMSG_ERROR)
				return -((struct nlmsgerr *)NLMSG_DATA(message))->error;
			visit(message, context);
		}
	}
}
