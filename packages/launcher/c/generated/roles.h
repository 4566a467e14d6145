/* Generated from ../../src by `npm run generate`; do not edit. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CAPABILITY(number) (UINT64_C(1) << (number))

struct capability {
	unsigned int number;
	const char *name;
	const char *reason;
};

struct role {
	const char *name;
	const char *script;
	uint64_t capabilities;
	bool accepts_fewer;
};

struct variable {
	const char *name;
	const char *value;
};

static const struct capability capabilities[] = {
	{12, "NET_ADMIN", "attach programs to devices and cgroups, and make devices, addresses, routes and settings of the network"},
	{13, "NET_RAW", "send echo requests to other nodes and probes for address conflicts"},
	{21, "SYS_ADMIN", "load BPF programs, and open maps, programs and links by their ids: its own of the run before, and others at its hooks"},
};

static const struct role roles[] = {
	{"agent", "agent.js", CAPABILITY(12) | CAPABILITY(13) | CAPABILITY(21), false},
	{"operator", "operator.js", 0, false},
	{"cli", "sluice.js", CAPABILITY(12) | CAPABILITY(13) | CAPABILITY(21), true},
};

static const char *const node_flags[] = {
	"--max-semi-space-size=1",
	"--optimize-for-size",
	"--max-old-space-size=400",
	"--disable-wasm-trap-handler",
};

static const struct variable environment[] = {
	{"MALLOC_ARENA_MAX", "1"},
};
