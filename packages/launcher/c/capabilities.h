/* What a process of ours may do. */
#pragma once
#include <stdbool.h>

struct role;

/* Keeps those of the role in every set but the ambient one, which is emptied; false: it has said why not. */
bool drop_capabilities(const struct role *role);
