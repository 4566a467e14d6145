/* The plugin `loopback`, which containerd runs before ours for each pod: this program under that name. */
#pragma once
#include "failure.h"

/* Answers a request, whose specification is `version`, on standard output; no agent is asked. */
bool loopback_answer(const char *command, const char *version, struct failure *failure);
