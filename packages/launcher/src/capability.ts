/** Numbers of include/uapi/linux/capability.h; only those that some role has. */
export const capabilityNumbers = {
  NET_ADMIN: 12,
  NET_RAW: 13,
  SYS_ADMIN: 21,
} as const;

/** As Kubernetes names it, without `CAP_`. */
export type Capability = keyof typeof capabilityNumbers;
