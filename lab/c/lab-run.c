/*
 * Starts things inside the lab's namespaces: what `ip netns`, `mount` and `nsenter` would do, in one quick static
 * program that the daemon can call hundreds of times. An error names the step and its object; the exit status is then
 * 125, and 127 where the command itself could not be started.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NSFS_MAGIC 0x6e736673
#define STATUS_FAILED 125
#define STATUS_NOT_STARTED 127
/* The first descriptor of the systemd socket protocol. */
#define LISTEN_FD_FIRST 3

static const char usage[] =
    "lab-run netns FILE [SYSCTL=VALUE ...]   make a network namespace, bound to FILE, with lo up\n"
    "lab-run tmpfs|bpf DIRECTORY             mount one there\n"
    "lab-run unmount PATH...                 unmount (what is not mounted is fine)\n"
    "lab-run exec [OPTION ...] -- COMMAND [ARGUMENT ...]\n"
    "  --listen NETNS,ADDRESS,PORT   open a listening socket there, hand it over as descriptor 3, 4, ...\n"
    "  --cgroup DIRECTORY            join it, made where missing\n"
    "  --beside PID                  enter the network, mount and host name namespaces of that process\n"
    "  --net FILE                    enter this network namespace\n"
    "  --hostname NAME               own host name\n"
    "  --bind SOURCE:TARGET          own mounts, with SOURCE over TARGET\n"
    "  --hide DIRECTORY              own mounts, without those below DIRECTORY\n"
    "  --own-files DIRECTORY         own mounts, empty where programs write, the rest read-only; DIRECTORY stays "
    "visible\n"
    "  --chdir DIRECTORY             work there (looked up before --hide)\n"
    "  --die-with-parent             be killed when the starter ends\n";

static void __attribute__((format(printf, 1, 2), noreturn)) fail(const char *format, ...)
{
	int error = errno;
	va_list arguments;

	fputs("lab-run: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fprintf(stderr, error ? ": %s\n" : "\n", strerror(error));
	exit(STATUS_FAILED);
}

static void __attribute__((noreturn)) refuse(const char *message, const char *subject)
{
	errno = 0;
	fail("%s%s\n%s", message, subject, usage);
}

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		fail("open %s", path);
	if (write(fd, text, strlen(text)) < 0)
		fail("write '%s' to %s", text, path);
	close(fd);
}

static void make_directories(const char *path)
{
	char part[4096];

	if (snprintf(part, sizeof(part), "%s/", path) >= (int)sizeof(part))
		refuse("path too long: ", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, 0755) && errno != EEXIST)
			fail("make directory %s", part);
		*slash = '/';
	}
}

static void enter_network(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || setns(fd, CLONE_NEWNET))
		fail("enter network namespace %s", path);
	close(fd);
}

static void set_sysctl(char *assignment)
{
	char path[4096];
	char *value = strchr(assignment, '=');

	if (!value)
		refuse("not NAME=VALUE: ", assignment);
	*value++ = '\0';
	snprintf(path, sizeof(path), "/proc/sys/%s", assignment);
	for (char *c = path; *c; c++)
		*c = *c == '.' ? '/' : *c;
	write_file(path, value);
}

static void loopback_up(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request))
		fail("bring lo up");
	close(fd);
}

static int is_namespace(const char *path)
{
	struct statfs fs;

	return statfs(path, &fs) == 0 && fs.f_type == NSFS_MAGIC;
}

static int netns_command(int count, char **arguments)
{
	if (count < 1)
		refuse("netns: FILE is missing", "");
	const char *path = arguments[0];

	if (is_namespace(path)) {
		enter_network(path);
	} else {
		int fd = open(path, O_RDONLY | O_CREAT | O_CLOEXEC, 0444);

		if (fd < 0)
			fail("create %s", path);
		close(fd);
		if (unshare(CLONE_NEWNET))
			fail("make a network namespace");
		if (mount("/proc/self/ns/net", path, "none", MS_BIND, NULL))
			fail("bind the network namespace to %s", path);
	}
	loopback_up();
	for (int i = 1; i < count; i++)
		set_sysctl(arguments[i]);
	return 0;
}

static int mount_command(const char *type, int count, char **arguments)
{
	if (count != 1)
		refuse("one DIRECTORY is needed: ", type);
	make_directories(arguments[0]);
	if (mount(type, arguments[0], type, MS_NOSUID | MS_NODEV, "mode=0755"))
		fail("mount %s on %s", type, arguments[0]);
	return 0;
}

static int unmount_command(int count, char **arguments)
{
	for (int i = 0; i < count; i++) {
		/* As often as something was mounted there; EINVAL means that nothing (more) is. */
		while (umount2(arguments[i], MNT_DETACH | UMOUNT_NOFOLLOW) == 0)
			;
		if (errno != EINVAL && errno != ENOENT)
			fail("unmount %s", arguments[i]);
	}
	return 0;
}

static int mounts_are_own;

static void own_mounts(void)
{
	if (mounts_are_own)
		return;
	if (unshare(CLONE_NEWNS))
		fail("make a mount namespace");
	if (mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL))
		fail("make mounts private");
	mounts_are_own = 1;
}

static void bind_over(char *pair)
{
	char *target = strchr(pair, ':');

	if (!target)
		refuse("--bind wants SOURCE:TARGET, not ", pair);
	*target++ = '\0';
	own_mounts();
	if (mount(pair, target, NULL, MS_BIND, NULL))
		fail("bind %s over %s", pair, target);
}

/* A copy of a namespace's bind mount would keep that namespace alive for as long as the process lives. */
static void hide_mounts(const char *directory)
{
	char line[8192], path[4096];
	FILE *mounts;

	own_mounts();
	mounts = fopen("/proc/self/mountinfo", "re");
	if (!mounts)
		fail("open /proc/self/mountinfo");
	while (fgets(line, sizeof(line), mounts)) {
		if (sscanf(line, "%*s %*s %*s %*s %4095s", path) != 1)
			continue;
		size_t length = strlen(directory);
		if (strncmp(path, directory, length) || path[length] != '/')
			continue;
		/* Its children go with the first; for them it is EINVAL or ENOENT then. */
		if (umount2(path, MNT_DETACH) && errno != EINVAL && errno != ENOENT)
			fail("hide the mount %s", path);
	}
	fclose(mounts);
}

static const char *const written_directories[] = {"/tmp", "/var/tmp", "/run", "/root", "/home"};

/* Keeps a pod's mistakes from the machine's files. It does not keep out root's intent: root can mount again. */
static void own_files(const char *kept)
{
	struct mount_attr read_only = {.attr_set = MOUNT_ATTR_RDONLY};
	int tree;

	own_mounts();
	if (mount_setattr(AT_FDCWD, "/", AT_RECURSIVE, &read_only, sizeof(read_only)))
		fail("make the machine's files read-only");
	/* It may lie below one of those that are covered. */
	tree = open_tree(AT_FDCWD, kept, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	if (tree < 0)
		fail("open %s", kept);
	for (size_t i = 0; i < sizeof(written_directories) / sizeof(*written_directories); i++) {
		const char *directory = written_directories[i];

		if (mount("tmpfs", directory, "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777") && errno != ENOENT)
			fail("mount a tmpfs on %s", directory);
	}
	make_directories(kept);
	if (move_mount(tree, "", AT_FDCWD, kept, MOVE_MOUNT_F_EMPTY_PATH))
		fail("mount %s at its place", kept);
	close(tree);
}

static void enter_beside(const char *pid_text)
{
	int fd = syscall(SYS_pidfd_open, atoi(pid_text), 0);

	if (fd < 0)
		fail("find process %s", pid_text);
	if (setns(fd, CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWUTS))
		fail("enter the namespaces of process %s", pid_text);
	close(fd);
}

static void join_cgroup(const char *directory)
{
	char path[4096];

	make_directories(directory);
	snprintf(path, sizeof(path), "%s/cgroup.procs", directory);
	write_file(path, "0");
}

static int listening_socket(const char *address, int port)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(port)};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(port)};
	int is_v4 = inet_pton(AF_INET, address, &v4.sin_addr) == 1;
	int yes = 1;

	if (!is_v4 && inet_pton(AF_INET6, address, &v6.sin6_addr) != 1)
		refuse("--listen: no address: ", address);
	int fd = socket(is_v4 ? AF_INET : AF_INET6, SOCK_STREAM, 0);
	if (fd < 0)
		fail("make a socket for %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (is_v4 ? bind(fd, (void *)&v4, sizeof(v4)) : bind(fd, (void *)&v6, sizeof(v6)))
		fail("bind to %s port %d", address, port);
	if (listen(fd, 512))
		fail("listen on %s port %d", address, port);
	return fd;
}

static void listen_in(char *place, int wanted_fd)
{
	char *address = strchr(place, ',');
	char *port = address ? strchr(address + 1, ',') : NULL;

	if (!port)
		refuse("--listen wants NETNS,ADDRESS,PORT, not ", place);
	*address++ = '\0';
	*port++ = '\0';
	int home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		fail("open /proc/self/ns/net");
	enter_network(place);
	int fd = listening_socket(address, atoi(port));
	if (setns(home, CLONE_NEWNET))
		fail("return to the own network namespace");
	close(home);
	/* dup2 of a descriptor onto itself is fine, and the copy is not close-on-exec. */
	if (dup2(fd, wanted_fd) < 0)
		fail("hand over the socket as descriptor %d", wanted_fd);
	if (fd != wanted_fd)
		close(fd);
}

static void set_hostname(const char *name)
{
	if (unshare(CLONE_NEWUTS))
		fail("make a host name namespace");
	if (sethostname(name, strlen(name)))
		fail("set host name %s", name);
}

static int exec_command(int count, char **arguments)
{
	const char *directory = NULL;
	char number[16];
	int listeners = 0, i = 0;

	for (; i < count && strcmp(arguments[i], "--"); i++) {
		const char *option = arguments[i];

		if (!strcmp(option, "--die-with-parent")) {
			if (prctl(PR_SET_PDEATHSIG, SIGKILL))
				fail("ask to die with the parent");
			if (getppid() == 1)
				exit(STATUS_FAILED);
			continue;
		}
		if (++i == count)
			refuse("a value is missing after ", option);
		char *value = arguments[i];

		if (!strcmp(option, "--listen"))
			listen_in(value, LISTEN_FD_FIRST + listeners++);
		else if (!strcmp(option, "--cgroup"))
			join_cgroup(value);
		else if (!strcmp(option, "--beside"))
			enter_beside(value);
		else if (!strcmp(option, "--net"))
			enter_network(value);
		else if (!strcmp(option, "--hostname"))
			set_hostname(value);
		else if (!strcmp(option, "--bind"))
			bind_over(value);
		else if (!strcmp(option, "--own-files"))
			own_files(value);
		else if (!strcmp(option, "--chdir"))
			directory = value;
		else if (!strcmp(option, "--hide")) {
			if (directory && chdir(directory))
				fail("change to %s", directory);
			hide_mounts(value);
			directory = NULL;
		} else
			refuse("unknown option ", option);
	}
	if (i + 1 >= count)
		refuse("exec: -- COMMAND is missing", "");
	if (directory && chdir(directory))
		fail("change to %s", directory);
	if (listeners) {
		snprintf(number, sizeof(number), "%d", listeners);
		setenv("LISTEN_FDS", number, 1);
	}
	execvp(arguments[i + 1], arguments + i + 1);
	fprintf(stderr, "lab-run: start %s: %s\n", arguments[i + 1], strerror(errno));
	return STATUS_NOT_STARTED;
}

int main(int argc, char **argv)
{
	if (argc < 2)
		refuse("a command is missing", "");
	const char *command = argv[1];

	if (!strcmp(command, "netns"))
		return netns_command(argc - 2, argv + 2);
	if (!strcmp(command, "tmpfs") || !strcmp(command, "bpf"))
		return mount_command(command, argc - 2, argv + 2);
	if (!strcmp(command, "unmount"))
		return unmount_command(argc - 2, argv + 2);
	if (!strcmp(command, "exec"))
		return exec_command(argc - 2, argv + 2);
	refuse("unknown command ", command);
}
