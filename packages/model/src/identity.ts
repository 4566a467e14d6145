/**
 * A number that stands for a set of labels. 24 bits fit the VXLAN network identifier (RFC 7348 section 5); numbers
 * below 256 are reserved and mean the same on every node; above 24 bits they are a node's own and never travel.
 */
export type IdentityId = number;

/** As the incumbent numbers them; 100 to 255 are its well-known and its users' own ones. */
export const reservedIdentities = {
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  'remote-node': 6,
  'kube-apiserver': 7,
  ingress: 8,
  'world-ipv4': 9,
  'world-ipv6': 10,
  'encrypted-overlay': 11,
} as const;

export const IDENTITY_MIN = 256;
export const IDENTITY_MAX = 0xff_ff_ff;

/** `host` for 1, the decimal number for what is not reserved. */
export function identityName(id: IdentityId): string {
  return names.get(id) ?? (id === 0 ? 'unknown' : String(id));
}

/** Whether a pod of a cluster may have it: a number of its labels, or `health`, or `init` while they are not known. */
export function isPodIdentity(id: IdentityId): boolean {
  if (id === reservedIdentities.init || id === reservedIdentities.health) return true;
  return id >= IDENTITY_MIN && id <= IDENTITY_MAX;
}

/** `reserved:host` for 1: what stands for labels where a number has none of its own. */
export function reservedLabel(id: IdentityId): string | undefined {
  const name = names.get(id);
  return name === undefined ? undefined : `reserved:${name}`;
}

const names = new Map<number, string>(Object.entries(reservedIdentities).map(([name, id]) => [id, name]));
