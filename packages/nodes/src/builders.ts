import type { NodeObject, ServiceCidrObject } from '@sluice/kube';
import { parseAddress, parsePrefix } from '@sluice/net';

/** Objects for tests, from text. */
export function nodeObject(name: string, addresses: readonly string[], podCidrs: readonly string[]): NodeObject {
  return {
    name,
    uid: name,
    labels: { 'kubernetes.io/hostname': name },
    annotations: {},
    addresses: addresses.map((address) => ({ type: 'InternalIP', address: parseAddress(address) })),
    podCidrs: podCidrs.map((text) => parsePrefix(text)),
    ready: true,
    terminating: false,
    zone: undefined,
    problems: [],
  };
}

/** The homelab's three, dual-stack. */
export function homelabNodes(): NodeObject[] {
  return [1, 2, 3].map((n) =>
    nodeObject(
      `k8s-cp${n}`,
      [`10.10.30.10${n}`, `fd00:10:10:30::10${n}`],
      [`10.244.${n - 1}.0/24`, `fd00:10:244:${n - 1}::/64`],
    ),
  );
}

export function serviceCidr(...cidrs: readonly string[]): ServiceCidrObject {
  return { name: 'kubernetes', uid: '1', cidrs: cidrs.map((text) => parsePrefix(text)), problems: [] };
}
