/* A network namespace inside the pod, whose only device we read and write. */
#pragma once

#include "pod.h"

/*
 * Enters the new namespace and returns the device. The namespace's addresses are given; NULL for a family that it
 * shall not have.
 */
int tun_open(int mtu, const address_t *ipv4, const address_t *ipv6);
