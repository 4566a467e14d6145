/**
 * A node without Sluice: a pod, the node that forwards, a server pod behind it, and kube-proxy's rules on the node. One
 * namespace for each mode, so that modes take turns.
 */
import { trackedConnections } from '../environment/conntrack.ts';
import { ip, type Place, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding } from '../environment/network.ts';
import {
  iptablesChange,
  iptablesRules,
  type NftablesOptions,
  nftablesChange,
  nftablesRules,
  type ProxyEndpoint,
  type ProxyService,
} from './proxy-rules.ts';

export interface ProxyMode {
  readonly name: string;
  readonly load: readonly [command: string, ...args: string[]];
  readonly change: readonly [command: string, ...args: string[]];
  readonly rules: (services: readonly ProxyService[], options?: NftablesOptions) => string;
  readonly changed: (service: ProxyService) => string;
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
    changed: nftablesChange,
    isFlat: true,
  },
];

export interface ProxiedPath {
  readonly client: Place;
  /** By the service, the last in the rules. */
  readonly service: Target;
  readonly loadMs: number;
  /** Sends what kube-proxy sends when the endpoints of one service change; gives the time. */
  change(): number;
  /** Entries of conntrack: none would mean that the rules are not on the way. */
  tracked(): number;
}

export async function proxiedPath(
  { network, stack }: { readonly network: BenchNetwork; readonly stack: AsyncDisposableStack },
  { mode, services }: { readonly mode: ProxyMode; readonly services: number },
): Promise<ProxiedPath> {
  const [node, client, server] = [network.namespace(forwarding), network.namespace(), network.namespace()];
  cable(
    { netns: client, device: 'eth0', address: '10.244.0.2/24' },
    { netns: node, device: 'c', address: '10.244.0.1/24' },
  );
  cable(
    { netns: server, device: 'eth0', address: '10.244.1.2/24' },
    { netns: node, device: 's', address: '10.244.1.1/24' },
  );
  ip(client, 'route add default via 10.244.0.1');
  ip(server, 'route add default via 10.244.1.1', 'address add 10.244.1.3/24 dev eth0');
  stack.use(await serve({ netns: server }, 'k'));
  const all = proxyServices(services);
  const measured = all.at(-1);
  if (!measured) throw new Error('no service to measure');
  const began = performance.now();
  runInsideSync({ netns: node }, mode.load, mode.rules(all));
  const loadMs = performance.now() - began;
  return {
    client: { netns: client },
    service: { address: measured.address, port: measured.port, token: 'k' },
    loadMs,
    change() {
      const started = performance.now();
      runInsideSync({ netns: node }, mode.change, mode.changed(measured));
      return performance.now() - started;
    },
    tracked: () => trackedConnections(node),
  };
}

/** Two endpoints each; those of the last are there, and are one server. */
function proxyServices(count: number): ProxyService[] {
  const endpoint = (address: string): ProxyEndpoint => ({ address, port: serverPort });
  return Array.from({ length: count }, (_, index) => {
    const low = `${index >> 8}.${index & 0xff}`;
    const isMeasured = index === count - 1;
    return {
      name: `filler-${index}`,
      address: `10.96.${low}`,
      port: 80,
      endpoints: isMeasured
        ? [endpoint('10.244.1.2'), endpoint('10.244.1.3')]
        : [endpoint(`10.200.${low}`), endpoint(`10.201.${low}`)],
    };
  });
}
