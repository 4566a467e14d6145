import { type Endpoint, type EndpointTable, podName } from '@sluice/endpoint';
import type { HostPortNode, HostPortPod, HostPortSource } from '@sluice/loadbalancer';
import { type Address, isLinkLocal, isLoopback } from '@sluice/net';
import type { NodesFeature } from '@sluice/nodes';

export interface HostPortSourceOptions {
  readonly nodeName: string;
  readonly nodePorts: HostPortNode['nodePorts'];
  readonly nodes: Pick<NodesFeature, 'addresses'>;
  readonly endpoints: EndpointTable;
}

/** Pods with host ports, as CNI has told of them, and at which addresses of the node they are asked for. */
export function hostPortSource({ nodeName, nodePorts, nodes, endpoints }: HostPortSourceOptions): HostPortSource {
  let known = '';
  return {
    pods: () => endpoints.list().flatMap(podOf),
    node: () => ({ nodeName, nodePorts, addresses: addressesOf(nodes) }),
    subscribe(changed) {
      const onPods = endpoints.subscribe((changes) => {
        if (changes.some(({ before, after }) => hasHostPorts(before) || hasHostPorts(after))) changed();
      });
      const onAddresses = nodes.addresses.subscribe(() => {
        const addresses = addressesOf(nodes).join(' ');
        if (addresses === known) return;
        known = addresses;
        changed();
      });
      return {
        [Symbol.dispose]: () => {
          onPods[Symbol.dispose]();
          onAddresses[Symbol.dispose]();
        },
      };
    },
  };
}

const hasHostPorts = (endpoint: Endpoint | undefined): boolean => (endpoint?.hostPorts.length ?? 0) > 0;

function podOf(endpoint: Endpoint): HostPortPod[] {
  if (!hasHostPorts(endpoint)) return [];
  const { ipv4, ipv6, hostPorts, createdAt } = endpoint;
  return [
    {
      name: podName(endpoint),
      createdAt: new Date(createdAt).toISOString(),
      addresses: [ipv4, ipv6].filter((address) => address !== undefined),
      ports: hostPorts,
    },
  ];
}

/** Sorted, so that the same ones in another order are no change. */
export function addressesOf({ addresses }: Pick<NodesFeature, 'addresses'>): Address[] {
  const all = addresses.list().map(({ address }) => address);
  return [...new Set(all)].filter((address) => !isLoopback(address) && !isLinkLocal(address)).sort();
}
