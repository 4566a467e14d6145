/*
 * As much JSON as the executable needs by itself: strings, read at the top level of an object and printed. Everything
 * else in the configuration is read by the agent.
 */
#pragma once
#include <stddef.h>

enum json_answer {
	JSON_FOUND,
	JSON_ABSENT,
	JSON_MALFORMED,
};

/*
 * Walks the whole object, so that a damaged end is noticed, too. `out` is terminated; too long a value is malformed.
 * Without `out` it only walks.
 */
enum json_answer json_top_level_string(const char *text, size_t length, const char *key, char *out, size_t size);

/* In quotes, to standard output. */
void json_print_string(const char *text);
