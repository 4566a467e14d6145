/**
 * A node without Sluice: a pod, the node that forwards, a server pod behind it, and kube-proxy's rules on the node. One
 * namespace for each mode, so that modes take turns.
 */
import { trackedConnections } from '../environment/conntrack.ts';
import { ip, type Place, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding } from '../environment/network.ts';
import { iptablesChange, iptablesRules } from './iptables-rules.ts';
import { nftablesChange, nftablesRules } from './nftables-rules.ts';
import { fillerService, type ProxyNode, type ProxyService } from './proxy-service.ts';

export interface ProxyMode {
  readonly name: string;
  readonly load: readonly [command: string, ...args: string[]];
  readonly change: readonly [command: string, ...args: string[]];
  readonly rules: (services: readonly ProxyService[], node?: ProxyNode) => string;
  readonly changed: (services: readonly ProxyService[], service: ProxyService) => string;
  /** Finds a service in as much time whether there are few or many. */
  readonly isFlat: boolean;
}

export const proxyModes: readonly ProxyMode[] = [
  {
    name: 'iptables, legacy',
    load: ['iptables-legacy-restore'],
    change: ['iptables-legacy-restore', '--noflush'],
    rules: iptablesRules,
    changed: iptablesChange,
    isFlat: false,
  },
  {
    name: 'iptables, nft',
    load: ['iptables-nft-restore'],
    change: ['iptables-nft-restore', '--noflush'],
    rules: iptablesRules,
    changed: iptablesChange,
    isFlat: false,
  },
  {
    name: 'nftables',
    load: ['nft', '-f', '-'],
    change: ['nft', '-f', '-'],
    rules: nftablesRules,
    changed: (_, service) => nftablesChange(service),
    isFlat: true,
  },
];

const token = 'k';
/** Of the one server. */
const serverAddresses = ['10.244.1.2', '10.244.1.3'] as const;

export interface BarePath {
  readonly client: Place;
  readonly service: Target;
}

/** By the service, the last in the rules. */
export interface ProxiedPath extends BarePath {
  readonly loadMs: number;
  /** Sends what kube-proxy sends when the endpoints of one service change; gives the time. */
  change(): number;
  /** Entries of conntrack: none would mean that the rules are not on the way. */
  tracked(): number;
}

interface Making {
  readonly network: BenchNetwork;
  readonly stack: AsyncDisposableStack;
}

/** The same without a rule, to the pod's own address. */
export async function barePath(making: Making): Promise<BarePath> {
  const { client } = await forwardedPath(making);
  return { client, service: { address: serverAddresses[0], port: serverPort, token } };
}

export async function proxiedPath(
  making: Making,
  { mode, services }: { readonly mode: ProxyMode; readonly services: number },
): Promise<ProxiedPath> {
  const { node, client } = await forwardedPath(making);
  const all = proxyServices(services);
  const measured = all.at(-1);
  if (!measured) throw new Error('no service to measure');
  const loadMs = timedMs(node, mode.load, mode.rules(all));
  return {
    client,
    service: { address: measured.address, port: measured.port, token },
    loadMs,
    change: () => timedMs(node, mode.change, mode.changed(all, measured)),
    tracked: () => trackedConnections(node),
  };
}

/** `node`: its namespace. */
async function forwardedPath({ network, stack }: Making): Promise<{ node: string; client: Place }> {
  const [node, client, server] = [network.namespace(forwarding), network.namespace(), network.namespace()];
  cable(
    { netns: client, device: 'eth0', address: '10.244.0.2/24' },
    { netns: node, device: 'c', address: '10.244.0.1/24' },
  );
  cable(
    { netns: server, device: 'eth0', address: `${serverAddresses[0]}/24` },
    { netns: node, device: 's', address: '10.244.1.1/24' },
  );
  ip(client, 'route add default via 10.244.0.1');
  ip(server, 'route add default via 10.244.1.1', `address add ${serverAddresses[1]}/24 dev eth0`);
  stack.use(await serve({ netns: server }, token));
  return { node, client: { netns: client } };
}

function timedMs(netns: string, command: readonly string[], rules: string): number {
  const started = performance.now();
  runInsideSync({ netns }, command, rules);
  return performance.now() - started;
}

/** The endpoints of the last are there. */
function proxyServices(count: number): ProxyService[] {
  const endpoint = (address: string) => ({ address, port: serverPort, isLocal: true });
  return Array.from({ length: count }, (_, index) => {
    const service = fillerService(index);
    return index < count - 1 ? service : { ...service, endpoints: serverAddresses.map(endpoint) };
  });
}
