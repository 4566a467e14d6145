import { parsePrefix } from '@sluice/net';
import {
  anyPrefixes,
  bindAddress,
  choice,
  clusterName,
  devices,
  duration,
  hashSeed,
  host,
  labelPatterns,
  mtu,
  nowhere,
  numberChoice,
  type OptionType,
  port,
  portRange,
  prefixes,
  serverUrls,
  trueOrFalse,
  trueOrFalseOrText,
  wholeNumber,
} from './option-types.ts';

export type { OptionType } from './option-types.ts';

export interface Option<T> {
  readonly type: OptionType<T>;
  readonly standard: T;
  /** What it does, in a sentence. */
  readonly sentence: string;
  /** Words of the incumbent that are taken as the default, and what that means. */
  readonly unsupported?: Readonly<Record<string, string>>;
  /** Set while nothing acts on the option: what happens when it is switched on. */
  readonly pending?: string;
  /** Few need it: docs/configuration.md has it, the chart's values.yaml takes it without listing it. */
  readonly isRare?: true;
}

function option<T>(type: OptionType<T>, standard: T, sentence: string, more: Partial<Option<T>> = {}): Option<T> {
  return { type, standard, sentence, ...more };
}

const rare = { isRare: true } as const;
const vxlanPort = 8472;
const apiServerPort = 6443;
const agentMetricsPort = 9962;
const operatorMetricsPort = 9963;
const podCidrsOnly = 'each node has one pod CIDR for each family from the cluster pool';

/** Primes, as the algorithm needs them, each just below a power of two. */
const maglevTableSizes = [251, 509, 1021, 2039, 4093, 8191, 16_381, 32_749, 65_521, 131_071];

/** Every option, by its path in the values. */
export const options = {
  'cluster.name': option(clusterName, 'default', 'Name of this cluster in flows, metrics and the status.'),
  'cluster.id': option(wholeNumber(0, 255), 0, 'Number of this cluster among connected ones; 0 for one alone.', rare),
  'operator.replicas': option(wholeNumber(1, 10), 2, 'How many operators run; one of them leads, the others wait.'),
  'operator.identityGCInterval': option(
    duration,
    15 * 60_000,
    'How often identities are looked over: one that no pod has is marked, and given to no new pod.',
    rare,
  ),
  'operator.identityHeartbeatTimeout': option(
    duration,
    30 * 60_000,
    'For how long an identity stays that no pod has; then it is deleted.',
    rare,
  ),
  'operator.prometheus.enabled': option(
    trueOrFalse,
    true,
    'Whether the operator serves its metrics to Prometheus, to whoever reaches the port.',
  ),
  'operator.prometheus.port': option(
    port(operatorMetricsPort),
    operatorMetricsPort,
    "TCP port of the operator's metrics, on all addresses of its node; 0 for the default.",
    rare,
  ),
  'prometheus.enabled': option(
    trueOrFalse,
    false,
    'Whether agents serve their metrics to Prometheus, to whoever reaches the port; `sluice metrics list` shows them in any case.',
  ),
  'prometheus.port': option(
    port(agentMetricsPort),
    agentMetricsPort,
    "TCP port of the agents' metrics, on all addresses of each node; 0 for the default.",
    rare,
  ),
  labels: option(
    labelPatterns,
    [],
    'Which labels make an identity, by regular expressions of their keys: `k8s:app` leaves only what is named, `!job-name` leaves that out.',
    rare,
  ),
  routingMode: option(choice(['tunnel']), 'tunnel', 'How packets for pods reach another node.', {
    ...rare,
    unsupported: { native: 'packets between nodes go through the tunnel: native routing is not there yet' },
  }),
  tunnelProtocol: option(choice(['vxlan']), 'vxlan', 'Encapsulation between nodes.', {
    ...rare,
    unsupported: { geneve: 'VXLAN is used, on its own port' },
  }),
  tunnelPort: option(
    port(vxlanPort),
    vxlanPort,
    'UDP port of the tunnel, the same on every node; 0 for the default.',
    rare,
  ),
  kubeProxyReplacement: option(trueOrFalseOrText, true, 'Whether Sluice serves Services, so that no kube-proxy runs.'),
  kubeProxyReplacementHealthzBindAddr: option(
    bindAddress,
    nowhere,
    'Where the agent answers as kube-proxy does at /healthz and /livez, usually `0.0.0.0:10256`: for balancers of a cloud and the autoscaler; empty: nowhere.',
  ),
  'loadBalancer.algorithm': option(
    choice(['random', 'maglev']),
    'random',
    'How a backend is chosen for clients from outside of the cluster: at random, or by Maglev, the same one on every node; `service.cilium.io/lb-algorithm` of a Service goes before. Clients inside are given any.',
    rare,
  ),
  'loadBalancer.serviceTopology': option(
    trueOrFalse,
    true,
    'Whether hints of EndpointSlices are followed, which keep clients in their node or zone: Kubernetes writes them only for a Service that asks for it (trafficDistribution, topology-mode), and documents that its proxy follows them. That is why it is on here, unlike with the incumbent.',
    rare,
  ),
  'maglev.tableSize': option(
    numberChoice(maglevTableSizes),
    16_381,
    "Entries of a service's Maglev table, at best a hundred for each backend; each 2,000 of them take 4 KiB of the kernel's memory for each way in. The same on every node.",
    rare,
  ),
  'maglev.hashSeed': option(
    hashSeed,
    { table: 0x24b7_ef82, ipv4: 0x71dc_da46, ipv6: 0x9250_5688 },
    'What Maglev tables and the place of a client in them are made from; the same on every node.',
    rare,
  ),
  'nodePort.range': option(
    portRange,
    { first: 30_000, last: 32_767 },
    "Ports of the node that services may have, first and last, as the API server's --service-node-port-range.",
  ),
  'nodePort.addresses': option(
    anyPrefixes,
    [],
    "Networks in which an address of the node must be to have NodePorts; empty: every address has. At the others the port is the node's own. A network within 127.0.0.0/8, or ::1/128, gives NodePorts to the node's own processes at 127.0.0.1 or ::1.",
    rare,
  ),
  'socketLB.terminatePodConnections': option(
    trueOrFalse,
    true,
    "Whether sockets of pods, and not those of the node's processes alone, are ended (ECONNABORTED) when the backend is gone that a service has led them to.",
    rare,
  ),
  'socketLB.terminateAllProtocols': option(
    trueOrFalse,
    false,
    'Whether that is so for TCP connections, too, as soon as no slice has their backend, be it that the pod lives on (another label); datagrams of a connected UDP socket would go nowhere for ever.',
    rare,
  ),
  'nodePort.bindProtection': option(
    trueOrFalse,
    true,
    'Whether processes of the node are refused (EADDRINUSE) the ports that services have there; pods never are.',
    rare,
  ),
  'nodePort.autoProtectPortRange': option(
    trueOrFalse,
    true,
    'Whether nodePort.range is added to net.ipv4.ip_local_reserved_ports where the kernel would give its ports to whoever asks for any.',
    rare,
  ),
  'loadBalancer.mode': option(
    choice(['snat', 'dsr', 'hybrid']),
    'snat',
    "Who answers a client outside whose backend is on another node than it asked: snat, the asked node, by its own address; dsr, the backend's node itself, and the backend sees the client's address; hybrid, dsr for TCP and snat for UDP. `service.cilium.io/forwarding-mode` of a Service goes before.",
    rare,
  ),
  'loadBalancer.acceleration': option(
    choice(['disabled', 'native', 'best-effort', 'generic', 'testing-only']),
    'disabled',
    'Whether established connections from outside to pods of other nodes are served at XDP of the devices that face the network: native, in their drivers; best-effort, where a driver can, and nothing is said where none can; generic (testing-only), behind the driver, which is slower than without.',
    rare,
  ),
  'loadBalancer.dsrDispatch': option(
    choice(['opt']),
    'opt',
    "How the asked node tells the backend's node of the service: opt, by an IPv4 option or IPv6 destination option of the packet inside the tunnel.",
    {
      unsupported: {
        ipip: 'the packet goes by the tunnel in any case, opt is used in it, and nothing needs to be wrapped twice',
        geneve: 'the tunnel is VXLAN, which has no options of its own: opt is used inside it',
      },
      ...rare,
    },
  ),
  k8sServiceHost: option(
    host,
    '',
    'Address of the API server that works before any Service does; empty: as the kubeconfig or the pod says.',
    { unsupported: { auto: 'the kubeconfig or the pod says where the API server is' } },
  ),
  k8sServicePort: option(port(apiServerPort), apiServerPort, 'Port of the API server at k8sServiceHost.'),
  'k8s.apiServerURLs': option(
    serverUrls,
    [],
    'API servers in order of preference, tried in turn; goes before k8sServiceHost.',
  ),
  'gatewayAPI.enabled': option(trueOrFalse, false, 'Whether Gateway API objects are acted on.', {
    pending: 'Gateway API objects are stored, but nothing acts on them yet',
  }),
  l7Proxy: option(trueOrFalse, true, 'Whether a proxy may serve layer 7 policies and gateways.', {
    ...rare,
    pending: 'no proxy runs yet, and no layer 7 rule is enforced',
  }),
  'l2announcements.enabled': option(trueOrFalse, false, 'Whether nodes answer ARP and NDP for service addresses.', {
    pending: 'CiliumL2AnnouncementPolicy objects are stored, but no address is announced yet',
  }),
  'externalIPs.enabled': option(
    trueOrFalse,
    true,
    'Whether the addresses in spec.externalIPs of a Service are served; on by default, as Kubernetes has it. Those that belong to a node, a pod, another Service or the API server, broadcast and multicast are not, unless externalIPs.allowed names them.',
  ),
  'externalIPs.allowed': option(
    anyPrefixes,
    [],
    "Networks whose addresses any Service may name in spec.externalIPs, whoever owns them: its clients get what is meant for the owner. The API server's own as a balancer's address needs it, too.",
    rare,
  ),
  devices: option(devices, [], 'Devices that face the network; empty: those with a default route or a node address.'),
  'ipv4.enabled': option(trueOrFalse, true, 'Whether pods and services have IPv4 addresses.'),
  'ipv6.enabled': option(
    trueOrFalse,
    true,
    'Whether pods and services have IPv6 addresses; a node without one of its own reaches only its own pods over IPv6.',
  ),
  enableIPv4Masquerade: option(
    trueOrFalse,
    true,
    'Whether IPv4 packets of pods leave the cluster with the address of the device that they leave by.',
  ),
  enableIPv6Masquerade: option(
    trueOrFalse,
    true,
    'Whether IPv6 packets of pods leave the cluster with the address of the device that they leave by.',
  ),
  'bpf.disableExternalIPMitigation': option(
    trueOrFalse,
    false,
    'Whether external addresses are served whoever owns them, as if externalIPs.allowed named all; see CVE-2020-8554.',
    rare,
  ),
  'bpf.hostLegacyRouting': option(
    trueOrFalse,
    false,
    "Whether packets of pods to the world pass the host's stack, for what hooks into it, such as a firewall.",
    rare,
  ),
  'ipam.mode': option(
    choice(['cluster-pool', 'kubernetes']),
    'cluster-pool',
    'Who gives nodes their pod CIDRs: our operator from the pool below, or Kubernetes; spec.podCIDRs of a node always wins.',
    {
      unsupported: {
        'multi-pool': podCidrsOnly,
        crd: podCidrsOnly,
        eni: podCidrsOnly,
        azure: podCidrsOnly,
        alibabacloud: podCidrsOnly,
        'delegated-plugin': podCidrsOnly,
      },
    },
  ),
  'ipam.operator.clusterPoolIPv4PodCIDRList': option(
    prefixes(4),
    [parsePrefix('10.244.0.0/16')],
    'Where IPv4 pod CIDRs come from.',
  ),
  'ipam.operator.clusterPoolIPv4MaskSize': option(wholeNumber(8, 30), 24, "Length of a node's IPv4 pod CIDR."),
  'ipam.operator.clusterPoolIPv6PodCIDRList': option(
    prefixes(6),
    [parsePrefix('fd00:10:244::/48')],
    'Where IPv6 pod CIDRs come from.',
  ),
  'ipam.operator.clusterPoolIPv6MaskSize': option(wholeNumber(32, 124), 64, "Length of a node's IPv6 pod CIDR."),
  MTU: option(mtu, 0, 'Largest packet of the node devices, tunnel included; 0: as the devices have it.'),
  'debug.enabled': option(trueOrFalse, false, 'Whether the log has debugging lines.'),
  'hubble.enabled': option(trueOrFalse, true, 'Whether flows are recorded and served.', {
    ...rare,
    pending: 'no flows are served yet; `sluice monitor` shows drops',
  }),
} as const satisfies Record<string, Option<unknown>>;

export type Options = typeof options;
export type OptionPath = keyof Options;

export const optionPaths = Object.keys(options) as OptionPath[];

/** The type of an option's value. */
export type ValueOf<P extends OptionPath> = Options[P] extends Option<infer T> ? T : never;
