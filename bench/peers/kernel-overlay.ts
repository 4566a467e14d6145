/**
 * What the kernel has without us, as the reference plugins and flannel set it up: on each node a bridge with the pod in it,
 * a vxlan device with a route to the other node's pods, and conntrack on what is forwarded.
 */
import { trackedConnections } from '../environment/conntrack.ts';
import type { Place } from '../environment/inside.ts';
import { ip, runInsideSync } from '../environment/inside.ts';
import { serve, serverPort, type Target } from '../environment/load.ts';
import { type BenchNetwork, cable, forwarding } from '../environment/network.ts';

export interface KernelOverlay {
  readonly client: Place;
  readonly target: Target;
  /** Connections that the client's node tracks: none would mean that conntrack is not on the way. */
  tracked(): number;
}

/** Of its two nodes, which reach each other already. */
export interface OverlayNode {
  readonly netns: string;
  readonly pod: string;
  readonly node: 0 | 1;
  readonly addresses: readonly [string, string];
  /** Its first two bytes. */
  readonly podNetwork: string;
}

const tunnelMac = (node: number): string => `02:00:00:00:ff:0${node}`;

export async function kernelOverlay(network: BenchNetwork, stack: AsyncDisposableStack): Promise<KernelOverlay> {
  const nodes = [network.namespace(forwarding), network.namespace(forwarding)] as const;
  const pods = [network.namespace(), network.namespace()] as const;
  cable(
    { netns: nodes[0], device: 'eno1', address: '10.20.0.1/24' },
    { netns: nodes[1], device: 'eno1', address: '10.20.0.2/24' },
  );
  const shared = { addresses: ['10.20.0.1', '10.20.0.2'], podNetwork: '10.21' } as const;
  for (const node of [0, 1] as const) {
    addOverlayNode({ netns: nodes[node], pod: pods[node], node, ...shared });
    trackConnections(nodes[node]);
  }
  stack.use(await serve({ netns: pods[1] }, 'k'));
  return {
    client: { netns: pods[0] },
    target: { address: '10.21.1.2', port: serverPort, token: 'k' },
    tracked: () => trackedConnections(nodes[0]),
  };
}

/** Bridge, tunnel and pod; no rules. */
export function addOverlayNode({ netns, pod, node, addresses, podNetwork }: OverlayNode): void {
  const other = node === 0 ? 1 : 0;
  ip(
    netns,
    'link add cni0 type bridge',
    `address add ${podNetwork}.${node}.1/24 dev cni0`,
    'link set cni0 mtu 1450 up',
    `link add flannel.1 type vxlan id 1 dev eno1 local ${addresses[node]} dstport 4789 nolearning`,
    `link set flannel.1 address ${tunnelMac(node)} mtu 1450 up`,
    `address add ${podNetwork}.${node}.0/32 dev flannel.1`,
    `neighbour add ${podNetwork}.${other}.0 lladdr ${tunnelMac(other)} dev flannel.1 nud permanent`,
    `route add ${podNetwork}.${other}.0/24 via ${podNetwork}.${other}.0 dev flannel.1 onlink`,
  );
  runInsideSync({ netns }, ['bridge', 'fdb', 'add', tunnelMac(other), 'dev', 'flannel.1', 'dst', addresses[other]], '');
  cable({ netns: pod, device: 'eth0', address: `${podNetwork}.${node}.2/24` }, { netns, device: 'pod' });
  ip(pod, 'link set eth0 mtu 1450', `route add default via ${podNetwork}.${node}.1`);
  ip(netns, 'link set pod mtu 1450', 'link set pod master cni0');
}

function trackConnections(netns: string): void {
  runInsideSync(
    { netns },
    ['nft', '-f', '-'],
    `table ip bench {
      chain forward {
        type filter hook forward priority filter; policy accept;
        ct state invalid drop
        ct state established,related accept
      }
      chain leaving {
        type nat hook postrouting priority srcnat; policy accept;
        ip saddr 10.21.0.0/16 ip daddr != 10.21.0.0/16 masquerade
      }
    }\n`,
  );
}
