/** A node without Sluice: a pod, and the node that forwards and masquerades as kube-proxy, flannel and the reference plugins set up. */
import { type BenchNode, benchCluster } from '../environment/cluster.ts';
import { trackedConnections } from '../environment/conntrack.ts';
import { ip, type Place, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding } from '../environment/network.ts';

interface MasqueradeMode {
  readonly name: string;
  readonly load: readonly [command: string, ...args: string[]];
  readonly rules: string;
}

const podNetwork = '10.245.0.0/24';

const iptablesRules = `*nat
-A POSTROUTING -s ${podNetwork} ! -d ${podNetwork} -j MASQUERADE --random-fully
COMMIT
*filter
-A FORWARD -m conntrack --ctstate INVALID -j DROP
-A FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
COMMIT
`;

const nftablesRules = `table ip bench {
  chain forward {
    type filter hook forward priority filter; policy accept;
    ct state invalid drop
    ct state established,related accept
  }
  chain leaving {
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr ${podNetwork} ip daddr != ${podNetwork} masquerade fully-random
  }
}
`;

const masqueradeModes: readonly MasqueradeMode[] = [
  { name: 'iptables MASQUERADE, legacy', load: ['iptables-legacy-restore'], rules: iptablesRules },
  { name: 'iptables MASQUERADE, nft', load: ['iptables-nft-restore'], rules: iptablesRules },
  { name: 'nftables masquerade', load: ['nft', '-f', '-'], rules: nftablesRules },
];

export interface MasqueradedPath {
  readonly peer: string;
  readonly client: Place;
  /** Another address of the client; no two alike, from 3. */
  addAddress(host: number): string;
  /** Entries of conntrack: none would mean that the rules are not on the way. */
  tracked(): number;
}

/** A pod of ours with a server outside of the cluster, and the peers' ways to the same server. */
export interface MasqueradeScene extends AsyncDisposable {
  readonly node: BenchNode;
  readonly target: Target;
  readonly peers: readonly MasqueradedPath[];
}

export async function masqueradeScene(): Promise<MasqueradeScene> {
  await using stack = new AsyncDisposableStack();
  const { nodes, network, outside } = stack.use(await benchCluster());
  const [node] = nodes;
  if (!node) throw new Error('the cluster has no node');
  stack.use(await serve({ netns: outside.netns }, 'o'));
  const peers = masqueradeModes.map((mode, index) => masqueradedPath({ network, mode, outside, index }));
  const owned = stack.move();
  return {
    node,
    target: { address: outside.address, port: serverPort, token: 'o' },
    peers,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface MasqueradedPathOptions {
  readonly network: BenchNetwork;
  readonly mode: MasqueradeMode;
  /** The bridge that the node's cable leads to, as our node's does. */
  readonly outside: { readonly netns: string; readonly address: string };
  /** From 0; no two alike. */
  readonly index: number;
}

/** Datagrams of the row that takes all ports are not to be forgotten before the last. */
const patience = { 'net/netfilter/nf_conntrack_udp_timeout': '300' };

function masqueradedPath({ network, mode, outside, index }: MasqueradedPathOptions): MasqueradedPath {
  const [node, pod] = [network.namespace({ ...forwarding, ...patience }), network.namespace()];
  const port = `peer${index}`;
  cable({ netns: node, device: 'eno1', address: `10.10.30.${201 + index}/24` }, { netns: outside.netns, device: port });
  ip(outside.netns, `link set ${port} master switch`);
  ip(node, `route add default via ${outside.address}`);
  cable(
    { netns: pod, device: 'eth0', address: '10.245.0.2/24' },
    { netns: node, device: 'pod', address: '10.245.0.1/24' },
  );
  ip(pod, 'route add default via 10.245.0.1');
  runInsideSync({ netns: node }, mode.load, mode.rules);
  return {
    peer: mode.name,
    client: { netns: pod },
    addAddress(host) {
      const address = `10.245.0.${host}`;
      ip(pod, `address add ${address}/24 dev eth0`);
      return address;
    },
    tracked: () => trackedConnections(node),
  };
}
