/* The pod's network namespace: found, entered and left again. */
#pragma once
#include "failure.h"

/* An open descriptor of a network namespace that is not our own, or -1. */
int netns_open(const char *path, struct failure *failure);

bool netns_enter(int netns, struct failure *failure);
void netns_leave(void);
