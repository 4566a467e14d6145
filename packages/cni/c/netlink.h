/* rtnetlink requests, several in one send; the kernel works them off in order and answers each. */
#pragma once
#include <linux/rtnetlink.h>
#include <stdbool.h>
#include <stddef.h>

#define REQUESTS_MAX 16

struct requests {
	char data[8192] __attribute__((aligned(NLMSG_ALIGNTO)));
	size_t length;
	/* What each asks for, in words for the error. */
	const char *actions[REQUESTS_MAX];
	unsigned int count;
	struct nlmsghdr *header;
};

/* In the caller's network namespace, where it stays. */
int netlink_open(void);

/* Adds a request with its family header; attributes follow. */
void request_begin(struct requests *requests, const char *action, int type, int flags, const void *body, size_t length);
void attribute_add(struct requests *requests, int type, const void *value, size_t length);
void attribute_add_u32(struct requests *requests, int type, unsigned int value);
void attribute_add_text(struct requests *requests, int type, const char *text);
struct rtattr *attribute_begin(struct requests *requests, int type);
void attribute_end(struct requests *requests, struct rtattr *attribute);

/* 0, or the errno of the first that failed; `action` says which. All are tried. */
int requests_send(int socket, struct requests *requests, const char **action);

/* Calls `visit` for each message of the answer. 0 or errno. */
int netlink_dump(int socket, int type, int family, void (*visit)(struct nlmsghdr *message, void *context),
		 void *context);
