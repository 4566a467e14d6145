/**
 * Two nodes without Sluice at the bench's switch: a pod on each, the kernel's own tunnel between them, and kube-proxy's rules
 * on both. Two NodePorts of the first node, the last in the rules: one leads to its own pod, one to the other node's.
 */
import { trackedConnections } from '../environment/conntrack.ts';
import { ip, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding, makeReal } from '../environment/network.ts';
import { addOverlayNode } from './kernel-overlay.ts';
import type { ProxyMode } from './proxied-path.ts';
import { fillerService, type ProxyService } from './proxy-service.ts';

export interface ProxiedNodePorts {
  readonly here: Target;
  readonly elsewhere: Target;
  /** Entries of the first node's conntrack: none would mean that the rules are not on the way. */
  tracked(): number;
}

export interface ProxiedNodePortsOptions {
  readonly network: BenchNetwork;
  readonly stack: AsyncDisposableStack;
  readonly mode: ProxyMode;
  readonly services: number;
  /** Of them, those that have a NodePort. */
  readonly nodePorts: number;
  /** The switch that all nodes are at. */
  readonly lan: string;
  /** From 0; no two alike. */
  readonly index: number;
}

const podNetwork = '10.244';
const firstPort = 30_000;
const [herePort, elsewherePort] = [32_001, 32_002];

export async function proxiedNodePorts(options: ProxiedNodePortsOptions): Promise<ProxiedNodePorts> {
  const { network, stack, mode, lan, index } = options;
  const addresses = [`10.10.30.${201 + 2 * index}`, `10.10.30.${202 + 2 * index}`] as const;
  const nodes = [network.namespace(forwarding), network.namespace(forwarding)] as const;
  for (const node of [0, 1] as const) {
    const [netns, pod, port] = [nodes[node], network.namespace(), `peer${2 * index + node}`];
    cable({ netns, device: 'eno1', address: `${addresses[node]}/24` }, { netns: lan, device: port });
    ip(lan, `link set ${port} master switch`);
    makeReal({ netns, device: 'eno1' }, { netns: lan, device: port });
    addOverlayNode({ netns, pod, node, addresses, podNetwork });
    ip(pod, `address add ${podNetwork}.${node}.3/24 dev eth0`);
    stack.use(await serve({ netns: pod }, node === 0 ? 'h' : 'e'));
    const all = proxyServices(options, node);
    // 10,000 take half a minute to load: not twice, where the other node only finds that the packet is none of theirs.
    const services = node === 1 && mode.isFlat ? all.slice(-2) : all;
    runInsideSync({ netns }, mode.load, mode.rules(services, { nodeAddresses: [addresses[node]] }));
  }
  return {
    here: { address: addresses[0], port: herePort, token: 'h' },
    elsewhere: { address: addresses[0], port: elsewherePort, token: 'e' },
    tracked: () => trackedConnections(nodes[0]),
  };
}

/** Those of the last two are a pod of each node, so that it is the same server every time. */
function proxyServices({ services, nodePorts }: ProxiedNodePortsOptions, ofNode: 0 | 1): ProxyService[] {
  const fillers = Array.from({ length: services }, (_, index): ProxyService => {
    const service = fillerService(index);
    return index < nodePorts ? { ...service, nodePort: firstPort + index } : service;
  });
  const endpoints = (node: 0 | 1) =>
    [2, 3].map((host) => ({ address: `${podNetwork}.${node}.${host}`, port: serverPort, isLocal: node === ofNode }));
  return [
    ...fillers,
    { name: 'here', address: '10.97.0.1', port: 80, nodePort: herePort, endpoints: endpoints(0) },
    { name: 'elsewhere', address: '10.97.0.2', port: 80, nodePort: elsewherePort, endpoints: endpoints(1) },
  ];
}
