/*
 * What every header that owns a map needs.
 *
 * Times in maps and events (`*_ns`) are CLOCK_MONOTONIC in nanoseconds, as bpf_ktime_get_ns has it: nobody sets that
 * clock, and the agent reads the same one.
 */
#pragma once
#include <stdbool.h>
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
