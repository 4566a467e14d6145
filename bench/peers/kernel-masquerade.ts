/**
 * Nodes without Sluice: a pod, and the node that forwards and masquerades as kube-proxy, flannel and the reference plugins
 * set up, or forwards and nothing else.
 */
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

const masqueradedPods = '10.245.0';
/** To these the server has a route. */
const barePods = '10.246.0';
const podNetwork = `${masqueradedPods}.0/24`;

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

/** A pod behind a node of its own. */
export interface ForwardedPath {
  /** The node's namespace. */
  readonly node: string;
  readonly client: Place;
  /** Another address of the client; no two alike, from 3. */
  addAddress(host: number): string;
  /** Entries of the node's conntrack. */
  tracked(): number;
}

export interface MasqueradedPath extends ForwardedPath {
  readonly peer: string;
}

/** A pod of ours with a server outside of the cluster, and the peers' ways to the same server. */
export interface MasqueradeScene extends AsyncDisposable {
  readonly node: BenchNode;
  readonly target: Target;
  /** No entry in conntrack would mean that the rules are not on the way. */
  readonly peers: readonly MasqueradedPath[];
  /** Without any rule: the server sees the pod's address, and has a route back. */
  readonly bare: ForwardedPath;
}

export async function masqueradeScene(): Promise<MasqueradeScene> {
  await using stack = new AsyncDisposableStack();
  const { nodes, network, outside } = stack.use(await benchCluster());
  const [node] = nodes;
  if (!node) throw new Error('the cluster has no node');
  stack.use(await serve({ netns: outside.netns }, 'o'));
  const peers = masqueradeModes.map((mode, index) => masqueradedPath(mode, { network, outside, index }));
  const bare = barePath({ network, outside, index: masqueradeModes.length });
  const owned = stack.move();
  return {
    node,
    target: { address: outside.address, port: serverPort, token: 'o' },
    peers,
    bare,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface PathPlace {
  readonly network: BenchNetwork;
  /** The bridge that the node's cable leads to, as our node's does. */
  readonly outside: { readonly netns: string; readonly address: string };
  /** From 0; no two alike. */
  readonly index: number;
}

function masqueradedPath({ name, load, rules }: MasqueradeMode, place: PathPlace): MasqueradedPath {
  const path = forwardedPath(masqueradedPods, place);
  runInsideSync({ netns: path.node }, load, rules);
  return { peer: name, ...path };
}

function barePath(place: PathPlace): ForwardedPath {
  const path = forwardedPath(barePods, place);
  ip(place.outside.netns, `route add ${barePods}.0/24 via ${nodeAddress(place)}`);
  return path;
}

/** Datagrams of the row that takes all ports are not to be forgotten before the last. */
const patience = { 'net/netfilter/nf_conntrack_udp_timeout': '300' };

function forwardedPath(pods: string, place: PathPlace): ForwardedPath {
  const { network, outside, index } = place;
  const [node, pod] = [network.namespace({ ...forwarding, ...patience }), network.namespace()];
  const port = `peer${index}`;
  cable({ netns: node, device: 'eno1', address: `${nodeAddress(place)}/24` }, { netns: outside.netns, device: port });
  ip(outside.netns, `link set ${port} master switch`);
  ip(node, `route add default via ${outside.address}`);
  cable(
    { netns: pod, device: 'eth0', address: `${pods}.2/24` },
    { netns: node, device: 'pod', address: `${pods}.1/24` },
  );
  ip(pod, `route add default via ${pods}.1`);
  return {
    node,
    client: { netns: pod },
    addAddress(host) {
      const address = `${pods}.${host}`;
      ip(pod, `address add ${address}/24 dev eth0`);
      return address;
    },
    tracked: () => trackedConnections(node),
  };
}

function nodeAddress({ index }: PathPlace): string {
  return `10.10.30.${201 + index}`;
}
