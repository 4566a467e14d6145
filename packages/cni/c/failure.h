/* Why a request failed, in the words and codes of the CNI specification. */
#pragma once
#include <stdbool.h>

enum cni_code {
	CNI_INCOMPATIBLE_VERSION = 1,
	CNI_UNKNOWN_CONTAINER = 3,
	CNI_INVALID_ENVIRONMENT = 4,
	CNI_IO = 5,
	CNI_DECODE = 6,
	CNI_INVALID_CONFIG = 7,
	CNI_TRY_AGAIN = 11,
	CNI_NOT_AVAILABLE = 50,
	/* Ours: the interface is already there. */
	CNI_INTERFACE_EXISTS = 100,
	/* Ours: what CHECK found is not what ADD made. */
	CNI_DIFFERS = 101,
};

struct failure {
	int code;
	char message[512];
};

/* Always false, so that a step can end with `return fail(...)`. */
__attribute__((format(printf, 3, 4))) bool fail(struct failure *failure, int code, const char *format, ...);

/* The error object of the specification, on standard output: that is where the runtime reads it. */
void failure_print(const struct failure *failure, const char *version, const char *details);
