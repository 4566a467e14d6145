/**
 * A number that stands for a set of labels. 24 bits fit the VXLAN network identifier (RFC 7348 section 5); numbers
 * below 256 are reserved and mean the same on every node.
 */
export type IdentityId = number;

export const reservedIdentities = {
  host: 1,
  world: 2,
  unmanaged: 3,
  health: 4,
  init: 5,
  'remote-node': 6,
  'kube-apiserver': 7,
  ingress: 8,
} as const;

export const IDENTITY_MIN = 256;
export const IDENTITY_MAX = 0xff_ff_ff;

/** `host` for 1, the decimal number for what is not reserved. */
export function identityName(id: IdentityId): string {
  return names.get(id) ?? String(id);
}

const names = new Map<number, string>(Object.entries(reservedIdentities).map(([name, id]) => [id, name]));
