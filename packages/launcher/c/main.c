/*
 * sluice-launch: starts a process of ours in the image, with Node's flags and no more rights than it needs.
 *
 * Node's threads have their capabilities each, and those of a thread that runs already cannot be taken from outside: so
 * they are dropped here, before Node is. Also what an init container does, where there is no shell and no cp.
 */
#include "capabilities.h"
#include "install.h"
#include "generated/roles.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#define ARGUMENTS_MAX 256
#define USAGE "usage: sluice-launch agent|operator|cli ARGUMENTS... or: sluice-launch install-cni FOLDER\n"

/* The folder that has bin/, dist/ and bpf/: SLUICE_ROOT, or the one above our own. */
static bool find_root(char *root, size_t size)
{
	const char *given = getenv("SLUICE_ROOT");
	ssize_t length;

	if (given && *given)
		return snprintf(root, size, "%s", given) < (int)size;
	length = readlink("/proc/self/exe", root, size - 1);
	if (length < 0)
		return false;
	root[length] = '\0';
	for (int level = 0; level < 2; level++) {
		char *slash = strrchr(root, '/');

		if (!slash)
			return false;
		*slash = '\0';
	}
	return true;
}

static const struct role *role_named(const char *name)
{
	for (size_t index = 0; index < sizeof(roles) / sizeof(*roles); index++)
		if (!strcmp(roles[index].name, name))
			return &roles[index];
	return NULL;
}

static int start(const struct role *role, const char *root, char **arguments)
{
	char node[PATH_MAX];
	char script[PATH_MAX];
	char *command[ARGUMENTS_MAX + 1];
	size_t count = 0;

	if (snprintf(node, sizeof(node), "%s/bin/node", root) >= (int)sizeof(node) ||
	    snprintf(script, sizeof(script), "%s/dist/%s", root, role->script) >= (int)sizeof(script)) {
		fprintf(stderr, "sluice-launch: %s is too long a path\n", root);
		return 1;
	}
	command[count++] = node;
	for (size_t index = 0; index < sizeof(node_flags) / sizeof(*node_flags); index++)
		command[count++] = (char *)node_flags[index];
	command[count++] = script;
	for (; *arguments; arguments++) {
		if (count == ARGUMENTS_MAX) {
			fprintf(stderr, "sluice-launch: more than %d arguments\n", ARGUMENTS_MAX);
			return 2;
		}
		command[count++] = *arguments;
	}
	command[count] = NULL;
	for (size_t index = 0; index < sizeof(environment) / sizeof(*environment); index++)
		setenv(environment[index].name, environment[index].value, 1);
	/* What capabilities are dropped stays dropped, whatever is executed later. */
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)) {
		fprintf(stderr, "sluice-launch: set no_new_privs: %s\n", strerror(errno));
		return 1;
	}
	execv(node, command);
	fprintf(stderr, "sluice-launch: run %s: %s\n", node, strerror(errno));
	return 1;
}

/* Called as `sluice-agent` we are the agent, as `sluice` the command line. */
static const char *role_of_name(const char *called)
{
	const char *slash = strrchr(called, '/');
	const char *name = slash ? slash + 1 : called;

	if (!strcmp(name, "sluice"))
		return "cli";
	return !strncmp(name, "sluice-", 7) && role_named(name + 7) ? name + 7 : NULL;
}

int main(int count, char **arguments)
{
	char root[PATH_MAX];
	const char *name = count > 0 ? role_of_name(arguments[0]) : NULL;
	char **rest = arguments + (count > 0);
	const struct role *role;

	if (!name)
		name = *rest ? *rest++ : "";
	if (!find_root(root, sizeof(root))) {
		fprintf(stderr, "sluice-launch: find our own folder: set SLUICE_ROOT\n");
		return 1;
	}
	if (!strcmp(name, "install-cni"))
		return install_cni(root, *rest);
	role = role_named(name);
	if (!role) {
		fputs(USAGE, stderr);
		return 2;
	}
	return drop_capabilities(role) ? start(role, root, rest) : 1;
}
