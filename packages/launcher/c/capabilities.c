#include "capabilities.h"

#include "generated/roles.h"

#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAPABILITIES_MAX 64

static const char *reason_of(unsigned int number, const char **name)
{
	for (size_t index = 0; index < sizeof(capabilities) / sizeof(*capabilities); index++)
		if (capabilities[index].number == number) {
			*name = capabilities[index].name;
			return capabilities[index].reason;
		}
	*name = "of that number";
	return "";
}

static uint64_t bounding_set(void)
{
	uint64_t set = 0;

	for (unsigned int number = 0; number < CAPABILITIES_MAX; number++)
		if (prctl(PR_CAPBSET_READ, number, 0, 0, 0) == 1)
			set |= CAPABILITY(number);
	return set;
}

/* What root gets with an exec is what the bounding set has: it alone bounds Node. */
static bool drop_bounding(uint64_t surplus)
{
	for (unsigned int number = 0; number < CAPABILITIES_MAX; number++) {
		if (!(surplus & CAPABILITY(number)) || !prctl(PR_CAPBSET_DROP, number, 0, 0, 0))
			continue;
		fprintf(
		    stderr,
		    "sluice-launch: drop capability %u from the bounding set: %s; let the container have only what is "
		    "listed for this process (drop: [ALL]), or SETPCAP as well\n",
		    number, strerror(errno));
		return false;
	}
	return true;
}

static bool complain(const struct role *role, uint64_t missing)
{
	for (unsigned int number = 0; number < CAPABILITIES_MAX; number++) {
		const char *name;
		const char *reason;

		if (!(missing & CAPABILITY(number)))
			continue;
		reason = reason_of(number, &name);
		fprintf(stderr,
			"sluice-launch: the %s lacks the capability %s, which it needs to %s; run it as root and give "
			"it to the "
			"container (securityContext.capabilities.add)\n",
			role->name, name, reason);
	}
	return false;
}

bool drop_capabilities(const struct role *role)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	uint64_t wanted = role->capabilities;
	uint64_t bounding = bounding_set();
	uint64_t kept;

	if (syscall(SYS_capget, &header, data)) {
		fprintf(stderr, "sluice-launch: read our capabilities: %s\n", strerror(errno));
		return false;
	}
	kept = wanted & bounding & (data[0].permitted | (uint64_t)data[1].permitted << 32);
	if (kept != wanted && !role->accepts_fewer)
		return complain(role, wanted & ~kept);
	/* No other user has any after an exec, whatever bounds it. */
	if (geteuid() == 0 && !drop_bounding(bounding & ~wanted))
		return false;
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int half = 0; half < 2; half++) {
		uint32_t set = (uint32_t)(kept >> (32 * half));

		data[half].permitted = data[half].effective = data[half].inheritable = set;
	}
	if (!syscall(SYS_capset, &header, data))
		return true;
	fprintf(stderr, "sluice-launch: drop capabilities: %s\n", strerror(errno));
	return false;
}
