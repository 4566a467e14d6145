import type { SluiceValues } from '@sluice/config';
import { type Endpoint, type EndpointTable, podName } from '@sluice/endpoint';
import type { HostPortNode, HostPortPod, HostPortSource, KeptPort } from '@sluice/loadbalancer';
import { type Address, isLinkLocal, isLoopback, tryParseAddress } from '@sluice/net';
import type { NodesFeature } from '@sluice/nodes';

export interface HostPortNodeOptions {
  readonly nodeName: string;
  readonly values: Pick<SluiceValues, 'nodePort' | 'prometheus' | 'tunnelPort' | 'kubeProxyReplacementHealthzBindAddr'>;
  /** Of the agent's own probes. */
  readonly healthPort: number | undefined;
  readonly nodes: Pick<NodesFeature, 'addresses'>;
  /** URLs of the API servers. */
  readonly servers: readonly string[];
}

export interface HostPortSourceOptions {
  readonly node: () => HostPortNode;
  readonly nodes: Pick<NodesFeature, 'addresses'>;
  readonly endpoints: EndpointTable;
}

/** Every kubelet's unless its operator has chosen another one (KubeletConfiguration, port). */
const kubeletPort = 10_250;

export function hostPortNode({ nodeName, values, healthPort, nodes, servers }: HostPortNodeOptions): HostPortNode {
  const addresses = addressesOf(nodes);
  const { prometheus, tunnelPort, kubeProxyReplacementHealthzBindAddr: healthz } = values;
  const here = servers.flatMap((url) => portHere(new URL(url), addresses));
  const kept: readonly (Omit<KeptPort, 'port'> & { readonly port: number | undefined })[] = [
    { port: kubeletPort, protocol: 'TCP', whose: "the kubelet's" },
    { port: healthPort, protocol: 'TCP', whose: "the agent's, for the kubelet's probes," },
    { port: prometheus.enabled ? prometheus.port : undefined, protocol: 'TCP', whose: "the agent's, for its metrics," },
    { port: healthz?.port, protocol: 'TCP', whose: "the agent's, for /healthz," },
    { port: tunnelPort, protocol: 'UDP', whose: "the tunnel's" },
    ...here.map((port) => ({ port, protocol: 'TCP', whose: "the API server's" }) as const),
  ];
  return {
    nodeName,
    nodePorts: values.nodePort.range,
    addresses,
    kept: kept.flatMap(({ port, ...rest }) => (port === undefined ? [] : [{ port, ...rest }])),
  };
}

function portHere({ hostname, port }: URL, addresses: readonly Address[]): number[] {
  const address = tryParseAddress(hostname.replace(/^\[|\]$/g, ''));
  const isHere = address !== undefined && (isLoopback(address) || addresses.includes(address));
  return isHere ? [Number(port || 443)] : [];
}

/** Pods with host ports, as CNI has told of them, and at which addresses of the node they are asked for. */
export function hostPortSource({ node, nodes, endpoints }: HostPortSourceOptions): HostPortSource {
  let known = '';
  return {
    pods: () => endpoints.list().flatMap(podOf),
    node,
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
