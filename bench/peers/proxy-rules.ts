/**
 * Rule sets as kube-proxy writes them for ClusterIP services and NodePorts (policy Cluster), as text for `iptables-restore`
 * and `nft -f`: of its mode `iptables` (Kubernetes 1.35) a chain for each service and each endpoint, endpoints chosen by
 * chance; of its mode `nftables` a verdict map over address, protocol and port, endpoints by `numgen`. Pure.
 */
export interface ProxyService {
  readonly name: string;
  readonly address: string;
  readonly port: number;
  readonly nodePort?: number;
  readonly endpoints: readonly ProxyEndpoint[];
}

export interface ProxyEndpoint {
  readonly address: string;
  readonly port: number;
}

/** Whose traffic is not masqueraded on its way to a service. */
const podNetwork = '10.244.0.0/16';

/** Everything anew, as at kube-proxy's start. */
export function iptablesRules(services: readonly ProxyService[]): string {
  const chains = services.flatMap(({ name, nodePort, endpoints }) => [
    `:${serviceChain(name)} - [0:0]`,
    ...(nodePort === undefined ? [] : [`:${externalChain(name)} - [0:0]`]),
    ...endpoints.map((_, index) => `:${endpointChain(name, index)} - [0:0]`),
  ]);
  return [
    '*filter',
    ...[':KUBE-FORWARD - [0:0]', ':KUBE-PROXY-FIREWALL - [0:0]'],
    '-A FORWARD -m conntrack --ctstate NEW -j KUBE-PROXY-FIREWALL',
    '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    '-A KUBE-FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
    '*nat',
    ...[':KUBE-SERVICES - [0:0]', ':KUBE-POSTROUTING - [0:0]', ':KUBE-MARK-MASQ - [0:0]', ':KUBE-NODEPORTS - [0:0]'],
    ...chains,
    '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
    '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
    '-A KUBE-POSTROUTING -m mark ! --mark 0x4000/0x4000 -j RETURN',
    '-A KUBE-POSTROUTING -j MARK --xor-mark 0x4000',
    '-A KUBE-POSTROUTING -j MASQUERADE --random-fully',
    '-A KUBE-MARK-MASQ -j MARK --or-mark 0x4000',
    ...services.flatMap((service) => [portal(service), ...nodePortRules(service), ...serviceRules(service)]),
    // The last: what has met no portal.
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT\n',
  ].join('\n');
}

/** One service's chains anew, for `iptables-restore --noflush`: what kube-proxy sends when its endpoints change. */
export function iptablesChange(service: ProxyService): string {
  const { name, endpoints } = service;
  const chains = [serviceChain(name), ...endpoints.map((_, index) => endpointChain(name, index))];
  return ['*nat', ...chains.map((chain) => `:${chain} - [0:0]`), ...serviceRules(service), 'COMMIT\n'].join('\n');
}

function portal({ name, address, port }: ProxyService): string {
  const match = `-d ${address}/32 -p tcp -m comment --comment "bench/${name} cluster IP" -m tcp --dport ${port}`;
  return `-A KUBE-SERVICES ${match} -j ${serviceChain(name)}`;
}

function nodePortRules({ name, nodePort }: ProxyService): string[] {
  if (nodePort === undefined) return [];
  const comment = `-m comment --comment "bench/${name}"`;
  return [
    `-A KUBE-NODEPORTS -p tcp ${comment} -m tcp --dport ${nodePort} -j ${externalChain(name)}`,
    `-A ${externalChain(name)} ${comment} -j KUBE-MARK-MASQ`,
    `-A ${externalChain(name)} -j ${serviceChain(name)}`,
  ];
}

function serviceRules({ name, address, port, endpoints }: ProxyService): string[] {
  const chain = serviceChain(name);
  const comment = (text: string) => `-m comment --comment "bench/${name} ${text}"`;
  return [
    `-A ${chain} ! -s ${podNetwork} -d ${address}/32 -p tcp ${comment('cluster IP')} -m tcp --dport ${port} -j KUBE-MARK-MASQ`,
    ...endpoints.map(({ address: ip, port: to }, index) => {
      const left = endpoints.length - index;
      const chance = left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(10)} ` : '';
      return `-A ${chain} ${comment(`-> ${ip}:${to}`)} ${chance}-j ${endpointChain(name, index)}`;
    }),
    ...endpoints.flatMap(({ address: ip, port: to }, index) => [
      `-A ${endpointChain(name, index)} -s ${ip}/32 ${comment('hairpin')} -j KUBE-MARK-MASQ`,
      `-A ${endpointChain(name, index)} -p tcp ${comment('')} -m tcp -j DNAT --to-destination ${ip}:${to}`,
    ]),
  ];
}

/** kube-proxy's names are a hash of 16 letters; as long, and unlike each other from the first letter on. */
function serviceChain(name: string): string {
  return `KUBE-SVC-${hashed(name)}`;
}

function externalChain(name: string): string {
  return `KUBE-EXT-${hashed(name)}`;
}

function endpointChain(name: string, index: number): string {
  return `KUBE-SEP-${hashed(`${name}/${index}`)}`;
}

/** FNV-1a of 64 bits. */
function hashed(text: string): string {
  let hash = 0xcbf29ce484222325n;
  for (const byte of Buffer.from(text)) hash = ((hash ^ BigInt(byte)) * 0x100000001b3n) & 0xffffffffffffffffn;
  return hash.toString(16).toUpperCase().padStart(16, '0');
}

export interface NftablesOptions {
  /** Addresses of the node that accept NodePort traffic. */
  readonly nodeAddresses?: readonly string[];
}

export function nftablesRules(services: readonly ProxyService[], { nodeAddresses = [] }: NftablesOptions = {}): string {
  const nodePorts = services.filter(({ nodePort }) => nodePort !== undefined);
  return [
    'table ip kube-proxy {',
    '  map service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }',
    '  map service-nodeports { type inet_proto . inet_service : verdict; }',
    '  set nodeport-ips { type ipv4_addr; }',
    '  chain mark-for-masquerade { meta mark set meta mark or 0x4000; }',
    '  chain masquerading { meta mark and 0x4000 == 0 return; meta mark set meta mark xor 0x4000; masquerade fully-random; }',
    '  chain services { ip daddr . meta l4proto . th dport vmap @service-ips; ip daddr @nodeport-ips meta l4proto . th dport vmap @service-nodeports; }',
    '  chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }',
    '  chain nat-output { type nat hook output priority -100; jump services; }',
    '  chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }',
    '  chain forward { type filter hook forward priority filter; ct state invalid drop; ct state established,related accept; }',
    ...services.flatMap(nftablesService),
    '}',
    ...addElements('service-ips', services.map(nftablesElement)),
    ...addElements('service-nodeports', nodePorts.map(nftablesNodePort)),
    ...addElements('nodeport-ips', nodeAddresses),
    '',
  ].join('\n');
}

function addElements(set: string, elements: readonly string[]): string[] {
  return elements.length > 0 ? [`add element ip kube-proxy ${set} { ${elements.join(', ')} }`] : [];
}

/** One service's chains anew, in one transaction. */
export function nftablesChange(service: ProxyService): string {
  const chain = nftablesChain(service.name);
  const endpoints = service.endpoints.map((endpoint, index) => [
    `add chain ip kube-proxy ${chain}-${index}`,
    `flush chain ip kube-proxy ${chain}-${index}`,
    ...nftablesEndpoint(endpoint).map((rule) => `add rule ip kube-proxy ${chain}-${index} ${rule}`),
  ]);
  const rules = nftablesChoice(service).map((rule) => `add rule ip kube-proxy ${chain} ${rule}`);
  return [...endpoints.flat(), `flush chain ip kube-proxy ${chain}`, ...rules, ''].join('\n');
}

function nftablesService(service: ProxyService): string[] {
  const chain = nftablesChain(service.name);
  return [
    ...service.endpoints.map(
      (endpoint, index) => `  chain ${chain}-${index} { ${nftablesEndpoint(endpoint).join('; ')}; }`,
    ),
    `  chain ${chain} { ${nftablesChoice(service).join('; ')}; }`,
    ...(service.nodePort === undefined
      ? []
      : [`  chain ${nftablesExternal(service.name)} { jump mark-for-masquerade; goto ${chain}; }`]),
  ];
}

function nftablesElement({ name, address, port }: ProxyService): string {
  return `${address} . tcp . ${port} : goto ${nftablesChain(name)}`;
}

function nftablesNodePort({ name, nodePort }: ProxyService): string {
  return `tcp . ${nodePort} : goto ${nftablesExternal(name)}`;
}

function nftablesChoice({ name, address, port, endpoints }: ProxyService): string[] {
  const targets = endpoints.map((_, index) => `${index} : goto ${nftablesChain(name)}-${index}`).join(', ');
  return [
    `ip daddr ${address} tcp dport ${port} ip saddr != ${podNetwork} jump mark-for-masquerade`,
    `numgen random mod ${endpoints.length} vmap { ${targets} }`,
  ];
}

function nftablesEndpoint({ address, port }: ProxyEndpoint): string[] {
  return [`ip saddr ${address} jump mark-for-masquerade`, `meta l4proto tcp dnat to ${address}:${port}`];
}

function nftablesChain(name: string): string {
  return `service-${name}`;
}

function nftablesExternal(name: string): string {
  return `external-${name}`;
}
