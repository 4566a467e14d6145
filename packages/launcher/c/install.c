#include "install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define PLUGIN "sluice-cni"
/* By this name our plugin is the one that containerd runs before any other (packages/cni/README.md). */
#define LOOPBACK "loopback"

static bool is_folder(const char *path)
{
	struct stat status;

	return !stat(path, &status) && S_ISDIR(status.st_mode);
}

static bool complain(const char *what, const char *path)
{
	fprintf(
	    stderr,
	    "sluice-launch: %s %s: %s; the container runtime finds CNI plugins there, so the folder must be writable "
	    "and have room (cni.binPath in the chart's values)\n",
	    what, path, strerror(errno));
	return false;
}

static bool copy(int from, int to)
{
	struct stat status;

	if (fstat(from, &status))
		return false;
	for (off_t left = status.st_size; left > 0;) {
		ssize_t sent = sendfile(to, from, NULL, (size_t)left);

		if (sent <= 0)
			return false;
		left -= sent;
	}
	return !fchmod(to, 0755) && !fsync(to);
}

/* On the disk before it has its name: a power cut leaves the old plugin or the new one. */
static bool install(const char *source, const char *temporary, const char *target)
{
	int from = open(source, O_RDONLY | O_CLOEXEC);
	int to;
	bool copied;

	if (from < 0)
		return complain("open", source);
	to = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0755);
	if (to < 0) {
		close(from);
		return complain("write", temporary);
	}
	copied = copy(from, to);
	close(from);
	if (close(to) || !copied || rename(temporary, target)) {
		complain("write", target);
		unlink(temporary);
		return false;
	}
	return true;
}

/* Only where there is none: one that somebody has installed does the same. */
static bool install_loopback(const char *target)
{
	if (!symlink(PLUGIN, target)) {
		printf("installed %s, a link to %s\n", target, PLUGIN);
		return true;
	}
	return errno == EEXIST || complain("write", target);
}

int install_cni(const char *root, const char *folder)
{
	char source[PATH_MAX];
	char temporary[PATH_MAX];
	char target[PATH_MAX];
	char loopback[PATH_MAX];

	if (!folder || !is_folder(folder)) {
		fprintf(stderr, "sluice-launch: install-cni: %s is not a folder\n", folder ? folder : "(none given)");
		return 2;
	}
	if (snprintf(source, sizeof(source), "%s/dist/bin/" PLUGIN, root) >= (int)sizeof(source) ||
	    snprintf(temporary, sizeof(temporary), "%s/." PLUGIN ".new", folder) >= (int)sizeof(temporary) ||
	    snprintf(target, sizeof(target), "%s/" PLUGIN, folder) >= (int)sizeof(target) ||
	    snprintf(loopback, sizeof(loopback), "%s/" LOOPBACK, folder) >= (int)sizeof(loopback)) {
		fprintf(stderr, "sluice-launch: install-cni: too long a path\n");
		return 2;
	}
	if (!install(source, temporary, target))
		return 1;
	printf("installed %s\n", target);
	return install_loopback(loopback) ? 0 : 1;
}
