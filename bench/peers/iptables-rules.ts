/**
 * The rule set that kube-proxy of Kubernetes 1.36 and 1.37 keeps in its mode `iptables`, as text for `iptables-restore`: a
 * rule for each service, one after the other, a chain for each and for each endpoint, endpoints chosen by chance. Pure.
 */
import {
  hashed,
  masqueradeMark,
  type ProxyEndpoint,
  type ProxyService,
  podNetwork,
  socketOf,
  titleOf,
} from './proxy-service.ts';

/** Everything anew, as at kube-proxy's start, with the jumps that it makes one by one with `iptables`. */
export function iptablesRules(services: readonly ProxyService[]): string {
  return restoreText(services, { changed: services, filterJumps, natJumps });
}

/**
 * One service's chains anew, for `iptables-restore --noflush`: what kube-proxy sends when its endpoints change. The chains
 * that all services share are sent whole each time: a line for each ClusterIP and NodePort.
 */
export function iptablesChange(services: readonly ProxyService[], changed: ProxyService): string {
  return restoreText(services, { changed: [changed], filterJumps: [], natJumps: [] });
}

interface Written {
  /** Those whose own chains are written. */
  readonly changed: readonly ProxyService[];
  readonly filterJumps: readonly string[];
  readonly natJumps: readonly string[];
}

/** In the order that they have where kube-proxy has put each before the ones that were there. */
const filterJumps = [
  ':KUBE-FIREWALL - [0:0]',
  '-A KUBE-FIREWALL -m comment --comment "block incoming localnet connections" -d 127.0.0.0/8 ! -s 127.0.0.0/8 -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP',
  '-A INPUT -j KUBE-FIREWALL',
  newJump('INPUT', 'KUBE-PROXY-FIREWALL', 'load balancer firewall'),
  '-A INPUT -m comment --comment "kubernetes health check service ports" -j KUBE-NODEPORTS',
  newJump('INPUT', 'KUBE-EXTERNAL-SERVICES', 'externally-visible service portals'),
  newJump('FORWARD', 'KUBE-PROXY-FIREWALL', 'load balancer firewall'),
  '-A FORWARD -m comment --comment "kubernetes forwarding rules" -j KUBE-FORWARD',
  newJump('FORWARD', 'KUBE-SERVICES', 'service portals'),
  newJump('FORWARD', 'KUBE-EXTERNAL-SERVICES', 'externally-visible service portals'),
  '-A OUTPUT -j KUBE-FIREWALL',
  newJump('OUTPUT', 'KUBE-PROXY-FIREWALL', 'load balancer firewall'),
  newJump('OUTPUT', 'KUBE-SERVICES', 'service portals'),
];

const natJumps = [
  '-A PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-A OUTPUT -m comment --comment "kubernetes service portals" -j KUBE-SERVICES',
  '-A POSTROUTING -m comment --comment "kubernetes postrouting rules" -j KUBE-POSTROUTING',
];

function newJump(from: string, chain: string, text: string): string {
  return `-A ${from} -m conntrack --ctstate NEW -m comment --comment "kubernetes ${text}" -j ${chain}`;
}

/** With more endpoints than this, rules of endpoints have no comments: a match less for each packet. */
const commentedEndpointsMax = 1_000;

function restoreText(services: readonly ProxyService[], { changed, filterJumps, natJumps }: Written): string {
  const isLarge = services.reduce((sum, { endpoints }) => sum + endpoints.length, 0) > commentedEndpointsMax;
  const served = changed.filter(({ endpoints }) => endpoints.length > 0);
  return [
    '*filter',
    ...['SERVICES', 'EXTERNAL-SERVICES', 'FORWARD', 'NODEPORTS', 'PROXY-FIREWALL'].map((name) =>
      chainLine(`KUBE-${name}`),
    ),
    ...filterJumps,
    ...services.flatMap(refusals),
    '-A KUBE-FORWARD -m conntrack --ctstate INVALID -j DROP',
    `-A KUBE-FORWARD -m comment --comment "kubernetes forwarding rules" -m mark --mark ${masqueradeMark}/${masqueradeMark} -j ACCEPT`,
    '-A KUBE-FORWARD -m comment --comment "kubernetes forwarding conntrack rule" -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT',
    'COMMIT',
    '*nat',
    ...['SERVICES', 'NODEPORTS', 'POSTROUTING', 'MARK-MASQ'].map((name) => chainLine(`KUBE-${name}`)),
    ...served.flatMap(chainsOf).map(chainLine),
    ...natJumps,
    `-A KUBE-POSTROUTING -m mark ! --mark ${masqueradeMark}/${masqueradeMark} -j RETURN`,
    `-A KUBE-POSTROUTING -j MARK --xor-mark ${masqueradeMark}`,
    '-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE --random-fully',
    `-A KUBE-MARK-MASQ -j MARK --or-mark ${masqueradeMark}`,
    ...services.flatMap(portals),
    ...served.flatMap((service) => [...externalRules(service), ...serviceRules(service, isLarge)]),
    '-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS',
    'COMMIT\n',
  ].join('\n');
}

function chainLine(chain: string): string {
  return `:${chain} - [0:0]`;
}

function chainsOf(service: ProxyService): string[] {
  return [
    ...(service.nodePort === undefined ? [] : [chainName('EXT', service)]),
    chainName('SVC', service),
    ...service.endpoints.map((endpoint) => chainName('SEP', service, endpoint)),
  ];
}

/** Of a service without endpoints; as long as there is one, these chains are empty. */
function refusals(service: ProxyService): string[] {
  const { nodePort, endpoints } = service;
  if (endpoints.length > 0) return [];
  const refused = `-m comment --comment "${titleOf(service)} has no endpoints"`;
  return [
    `-A KUBE-SERVICES ${refused} ${toClusterIp(service)} -j REJECT`,
    ...(nodePort === undefined
      ? []
      : [
          `-A KUBE-EXTERNAL-SERVICES ${refused} -m addrtype --dst-type LOCAL -m tcp -p tcp --dport ${nodePort} -j REJECT`,
        ]),
  ];
}

function portals(service: ProxyService): string[] {
  const { nodePort, endpoints } = service;
  if (endpoints.length === 0) return [];
  return [
    `-A KUBE-SERVICES -m comment --comment "${titleOf(service)} cluster IP" ${toClusterIp(service)} -j ${chainName('SVC', service)}`,
    ...(nodePort === undefined
      ? []
      : [
          `-A KUBE-NODEPORTS -m comment --comment ${titleOf(service)} -m tcp -p tcp --dport ${nodePort} -j ${chainName('EXT', service)}`,
        ]),
  ];
}

function toClusterIp({ address, port }: ProxyService): string {
  return `-m tcp -p tcp -d ${address} --dport ${port}`;
}

function externalRules(service: ProxyService): string[] {
  if (service.nodePort === undefined) return [];
  const chain = chainName('EXT', service);
  const why = `-m comment --comment "masquerade traffic for ${titleOf(service)} external destinations"`;
  return [`-A ${chain} ${why} -j KUBE-MARK-MASQ`, `-A ${chain} -j ${chainName('SVC', service)}`];
}

function serviceRules(service: ProxyService, isLarge: boolean): string[] {
  const { endpoints, affinitySeconds } = service;
  const chain = chainName('SVC', service);
  const title = titleOf(service);
  const comment = (text: string) => (isLarge ? '' : `-m comment --comment "${text}" `);
  const sticky = affinitySeconds === undefined ? [] : endpoints;
  return [
    `-A ${chain} -m comment --comment "${title} cluster IP" ${toClusterIp(service)} ! -s ${podNetwork} -j KUBE-MARK-MASQ`,
    ...sticky.map((endpoint) => {
      const to = chainName('SEP', service, endpoint);
      const recent = `-m recent --name ${to} --rcheck --seconds ${affinitySeconds} --reap`;
      return `-A ${chain} ${comment(`${title} -> ${socketOf(endpoint)}`)}${recent} -j ${to}`;
    }),
    ...endpoints.map((endpoint, index) => {
      const left = endpoints.length - index;
      const chance = left > 1 ? `-m statistic --mode random --probability ${(1 / left).toFixed(10)} ` : '';
      const to = chainName('SEP', service, endpoint);
      return `-A ${chain} ${comment(`${title} -> ${socketOf(endpoint)}`)}${chance}-j ${to}`;
    }),
    ...endpoints.flatMap((endpoint) => {
      const from = `-A ${chainName('SEP', service, endpoint)} ${comment(title)}`;
      const seen = sticky.length > 0 ? `-m recent --name ${chainName('SEP', service, endpoint)} --set ` : '';
      return [
        `${from}-s ${endpoint.address} -j KUBE-MARK-MASQ`,
        `${from}${seen}-m tcp -p tcp -j DNAT --to-destination ${socketOf(endpoint)}`,
      ];
    }),
  ];
}

/** A hash of 16 letters: the names of chains have room for 28. */
function chainName(kind: 'SVC' | 'EXT' | 'SEP', service: ProxyService, endpoint?: ProxyEndpoint): string {
  return `KUBE-${kind}-${hashed(`${titleOf(service)}tcp${endpoint ? socketOf(endpoint) : ''}`, 16)}`;
}
