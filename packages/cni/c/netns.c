#define _GNU_SOURCE
#include "netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef NSFS_MAGIC
#define NSFS_MAGIC 0x6e736673
#endif

#define OWN_NAMESPACE "/proc/self/ns/net"

static int home = -1;

int netns_open(const char *path, struct failure *failure)
{
	struct statfs filesystem;
	struct stat theirs;
	struct stat ours;
	int netns = open(path, O_RDONLY | O_CLOEXEC);

	if (netns < 0) {
		fail(failure, errno == ENOENT ? CNI_UNKNOWN_CONTAINER : CNI_IO,
		     "open network namespace %s (CNI_NETNS): %s", path, strerror(errno));
		return -1;
	}
	if (fstatfs(netns, &filesystem) || filesystem.f_type != NSFS_MAGIC ||
	    ioctl(netns, NS_GET_NSTYPE) != CLONE_NEWNET) {
		fail(failure, CNI_INVALID_ENVIRONMENT, "%s (CNI_NETNS) is not a network namespace", path);
		close(netns);
		return -1;
	}
	if (!fstat(netns, &theirs) && !stat(OWN_NAMESPACE, &ours) && theirs.st_ino == ours.st_ino) {
		fail(failure, CNI_INVALID_ENVIRONMENT, "%s (CNI_NETNS) is the node's own network namespace", path);
		close(netns);
		return -1;
	}
	return netns;
}

bool netns_enter(int netns, struct failure *failure)
{
	home = open(OWN_NAMESPACE, O_RDONLY | O_CLOEXEC);
	if (home >= 0 && setns(netns, CLONE_NEWNET) == 0)
		return true;
	return fail(failure, CNI_IO, "enter the pod's network namespace: %s", strerror(errno));
}

void netns_leave(void)
{
	/* Going on in the pod's namespace would make the next device there. */
	if (setns(home, CLONE_NEWNET)) {
		perror("sluice-cni: leave the pod's network namespace");
		abort();
	}
	close(home);
}
