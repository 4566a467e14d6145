/**
 * The rule set that kube-proxy of Kubernetes 1.36 and 1.37 keeps in its mode `nftables`, as the transactions it gives to
 * `nft -f -`, a command a line: maps lead from address and port to a service's chain, whose one rule translates to an
 * endpoint out of a map of numbers. Only a service with affinity has a chain and a set for each endpoint. Pure.
 */
import {
  hashed,
  masqueradeMark,
  type ProxyEndpoint,
  type ProxyNode,
  type ProxyService,
  podNetwork,
  serviceNetwork,
  socketOf,
  titleOf,
} from './proxy-service.ts';

const table = 'ip kube-proxy';

/** Everything anew, as at kube-proxy's start. */
export function nftablesRules(services: readonly ProxyService[], { nodeAddresses = [] }: ProxyNode = {}): string {
  return transaction([
    ...baseRules(),
    ...nodeAddresses.map((address) => addElement('nodeport-ips', address)),
    ...services.flatMap((service) => [...addChains(service), ...addElements(service), ...addRules(service)]),
  ]);
}

/**
 * What kube-proxy sends when endpoints of a service change: its chains anew. Elements are in the maps already; those that
 * come and go with a first, last or local endpoint are not of such a change.
 */
export function nftablesChange(service: ProxyService): string {
  return transaction([...addChains(service), ...addRules(service)]);
}

function transaction(commands: readonly string[]): string {
  return `${commands.join('\n')}\n`;
}

function addChain(chain: string, specification = ''): string[] {
  const braces = specification === '' ? '' : ` { ${specification} }`;
  return [`add chain ${table} ${chain}${braces}`, `flush chain ${table} ${chain}`];
}

function addRule(chain: string, ...words: readonly string[]): string {
  return `add rule ${table} ${chain} ${words.join(' ')}`;
}

function addElement(container: string, element: string): string {
  return `add element ${table} ${container} { ${element} }`;
}

const baseChains = {
  'filter-prerouting-pre-dnat': 'type filter hook prerouting priority -110 ;',
  'filter-output-pre-dnat': 'type filter hook output priority -110 ;',
  'filter-input': 'type filter hook input priority 0 ;',
  'filter-forward': 'type filter hook forward priority 0 ;',
  'filter-output': 'type filter hook output priority 0 ;',
  'nat-prerouting': 'type nat hook prerouting priority -100 ;',
  'nat-output': 'type nat hook output priority -100 ;',
  'nat-postrouting': 'type nat hook postrouting priority 100 ;',
};

/** Who jumps where; only new connections into what refuses them. */
const jumps: readonly (readonly [chain: string, from: string, match?: string])[] = [
  ['nodeport-endpoints-check', 'filter-input', 'ct state new'],
  ['service-endpoints-check', 'filter-input', 'ct state new'],
  ['service-endpoints-check', 'filter-forward', 'ct state new'],
  ['service-endpoints-check', 'filter-output', 'ct state new'],
  ['firewall-check', 'filter-prerouting-pre-dnat', 'ct state new'],
  ['firewall-check', 'filter-output-pre-dnat', 'ct state new'],
  ['services', 'nat-output'],
  ['services', 'nat-prerouting'],
  ['masquerading', 'nat-postrouting'],
  ['cluster-ips-check', 'filter-forward', 'ct state new'],
  ['cluster-ips-check', 'filter-output', 'ct state new'],
];

const serviceKey = 'ipv4_addr . inet_proto . inet_service';
const portKey = 'inet_proto . inet_service';

const sets = {
  'cluster-ips': 'ipv4_addr',
  'nodeport-ips': 'ipv4_addr',
  'hairpin-connections': `ipv4_addr . ${serviceKey}`,
};
const maps = {
  'firewall-ips': `${serviceKey} : verdict`,
  'no-endpoint-nodeports': `${portKey} : verdict`,
  'no-endpoint-services': `${serviceKey} : verdict`,
  'service-ips': `${serviceKey} : verdict`,
  'service-nodeports': `${portKey} : verdict`,
};

const toService = 'ip daddr . meta l4proto . th dport';
const toNodePort = 'ip daddr @nodeport-ips meta l4proto . th dport';
const masquerade = `mark set mark or ${masqueradeMark}`;

function baseRules(): string[] {
  return [
    `add table ${table}`,
    // Added and deleted: one of an older kube-proxy may be there with another priority.
    ...Object.keys(baseChains).flatMap((chain) => [`add chain ${table} ${chain}`, `delete chain ${table} ${chain}`]),
    ...Object.entries(baseChains).flatMap(([chain, specification]) => addChain(chain, specification)),
    ...[...new Set(jumps.map(([chain]) => chain)), 'reject-chain'].flatMap((chain) => addChain(chain)),
    ...Object.entries(sets).map(([name, type]) => `add set ${table} ${name} { type ${type} ; }`),
    ...Object.entries(maps).map(([name, type]) => `add map ${table} ${name} { type ${type} ; }`),
    `flush set ${table} nodeport-ips`,
    ...jumps.map(([chain, from, match]) => addRule(from, ...(match ? [match] : []), 'jump', chain)),
    addRule(
      'masquerading',
      `mark and ${masqueradeMark} != 0 mark set mark xor ${masqueradeMark} masquerade fully-random`,
    ),
    addRule(
      'masquerading',
      'ct status dnat ip saddr . ip daddr . meta l4proto . th dport @hairpin-connections masquerade fully-random',
    ),
    addRule('cluster-ips-check', 'ip daddr @cluster-ips reject'),
    addRule('cluster-ips-check', `ip daddr { ${serviceNetwork} } drop`),
    addRule('reject-chain', 'reject'),
    addRule('service-endpoints-check', toService, 'vmap @no-endpoint-services'),
    addRule('nodeport-endpoints-check', toNodePort, 'vmap @no-endpoint-nodeports'),
    addRule('firewall-check', toService, 'vmap @firewall-ips'),
    addRule('services', `ip daddr @cluster-ips ip saddr != ${podNetwork}`, masquerade),
    addRule('services', toService, 'vmap @service-ips'),
    addRule('services', toNodePort, 'vmap @service-nodeports'),
  ];
}

function addChains(service: ProxyService): string[] {
  const { endpoints, nodePort, affinitySeconds } = service;
  if (endpoints.length === 0) return [];
  return [
    ...(affinitySeconds === undefined ? [] : endpoints.map((endpoint) => endpointName('endpoint', service, endpoint))),
    serviceName('service', service),
    ...(nodePort === undefined ? [] : [serviceName('external', service)]),
  ].flatMap((chain) => addChain(chain));
}

function addElements(service: ProxyService): string[] {
  const { address, port, nodePort, endpoints } = service;
  const [clusterIp, external] = [`${address} . tcp . ${port}`, `tcp . ${nodePort}`];
  const own = addElement('cluster-ips', address);
  if (endpoints.length === 0) {
    const refused = `comment "${titleOf(service)}" : goto reject-chain`;
    return [
      own,
      addElement('no-endpoint-services', `${clusterIp} ${refused}`),
      ...(nodePort === undefined ? [] : [addElement('no-endpoint-nodeports', `${external} ${refused}`)]),
    ];
  }
  return [
    ...endpoints.filter(({ isLocal }) => isLocal).map(hairpin),
    own,
    addElement('service-ips', `${clusterIp} : goto ${serviceName('service', service)}`),
    ...(nodePort === undefined
      ? []
      : [addElement('service-nodeports', `${external} : goto ${serviceName('external', service)}`)]),
  ];
}

/** An endpoint that reaches itself by the service. */
function hairpin({ address, port }: ProxyEndpoint): string {
  return addElement('hairpin-connections', `${address} . ${address} . tcp . ${port}`);
}

function addRules(service: ProxyService): string[] {
  const { endpoints, nodePort, affinitySeconds } = service;
  if (endpoints.length === 0) return [];
  const chain = serviceName('service', service);
  const external = serviceName('external', service);
  return [
    ...(nodePort === undefined
      ? []
      : [addRule(external, masquerade, 'comment "masquerade"'), addRule(external, 'goto', chain)]),
    ...(affinitySeconds === undefined
      ? [addRule(chain, 'meta l4proto tcp', translation(endpoints))]
      : stickyRules(service, affinitySeconds)),
  ];
}

function translation([first, ...others]: readonly ProxyEndpoint[]): string {
  if (first === undefined) throw new Error('a service without endpoints is refused, not translated');
  // The kernel takes its time for each map that it makes.
  if (others.length === 0) return `dnat to ${socketOf(first)}`;
  const targets = [first, ...others].map(({ address, port }, index) => `${index} : ${address} . ${port}`);
  return `dnat ip addr . port to numgen random mod ${targets.length} map { ${targets.join(' , ')} }`;
}

function stickyRules(service: ProxyService, affinitySeconds: number): string[] {
  const chain = serviceName('service', service);
  const sticky = service.endpoints.map((endpoint) => ({
    ...{
      endpoint,
      chain: endpointName('endpoint', service, endpoint),
      set: endpointName('affinity', service, endpoint),
    },
  }));
  const targets = sticky.map((one, index) => `${index} : goto ${one.chain}`).join(' , ');
  return [
    ...sticky.map(
      ({ set }) => `add set ${table} ${set} { type ipv4_addr ; flags dynamic,timeout ; timeout ${affinitySeconds}s ; }`,
    ),
    ...sticky.map((one) => addRule(chain, `ip saddr @${one.set} goto ${one.chain}`)),
    addRule(chain, `numgen random mod ${sticky.length} vmap { ${targets} }`),
    ...sticky.flatMap((one) => [
      addRule(one.chain, `update @${one.set} { ip saddr }`),
      addRule(one.chain, `meta l4proto tcp dnat to ${socketOf(one.endpoint)}`),
    ]),
  ];
}

/** `service-HASH-namespace/name/protocol/`: our ports have no names. */
function serviceName(kind: 'service' | 'external', service: ProxyService): string {
  return `${kind}-${withHash(`${titleOf(service)}/tcp/`)}`;
}

function endpointName(kind: 'endpoint' | 'affinity', service: ProxyService, { address, port }: ProxyEndpoint): string {
  return `${kind}-${withHash(`${titleOf(service)}/tcp/__${address}/${port}`)}`;
}

function withHash(name: string): string {
  return `${hashed(name, 8)}-${name}`;
}
