import type { CiliumEndpointSliceObject, NodeObject, ServiceCidrObject } from '@sluice/kube';
import { parseAddress, parsePrefix } from '@sluice/net';
import { Table } from '@sluice/state';

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
    taints: [],
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

/** Endpoints as `cart-0 4711 10.244.1.5 fd00:10:244:1::5`. */
export function endpointSlice(
  name: string,
  node: string | undefined,
  ...endpoints: string[]
): CiliumEndpointSliceObject {
  return {
    name,
    uid: name,
    namespace: 'shop',
    node,
    nodeUid: node,
    nodeAddresses: [],
    endpoints: endpoints.map((text) => {
      const [pod = '', identity, ...addresses] = text.split(' ');
      const [ipv4, ipv6] = [4, 6].map((family) =>
        addresses.find((address) => address.includes(':') === (family === 6)),
      );
      return {
        name: pod,
        identity: Number(identity),
        ipv4: ipv4 === undefined ? undefined : parseAddress(ipv4),
        ipv6: ipv6 === undefined ? undefined : parseAddress(ipv6),
      };
    }),
    problems: [],
  };
}

export function sliceTable(): Table<CiliumEndpointSliceObject> {
  return new Table<CiliumEndpointSliceObject>({
    name: 'slices',
    key: (row) => row.name,
    sources: ['slices'],
    columns: {},
  });
}
