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
	{39, "BPF", "load programs and make maps"},
	{38, "PERFMON", "load programs that read kernel memory (tracing of drops, packet pointers)"},
	{12, "NET_ADMIN", "attach programs to devices and cgroups; devices, addresses, routes and neighbours by rtnetlink; settings below /proc/sys/net"},
	{13, "NET_RAW", "packet sockets: echo requests to other nodes, probes for address conflicts"},
	{21, "SYS_ADMIN", "open maps, programs and links by their ids, our own of the run before and those of others at our hooks"},
};

static const struct role roles[] = {
	{"agent", "agent.js", CAPABILITY(39) | CAPABILITY(38) | CAPABILITY(12) | CAPABILITY(13) | CAPABILITY(21), false},
	{"operator", "operator.js", 0, false},
	{"cli", "sluice.js", CAPABILITY(39) | CAPABILITY(38) | CAPABILITY(12) | CAPABILITY(13) | CAPABILITY(21), true},
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
