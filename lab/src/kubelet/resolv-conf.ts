import type { Pod } from '../apiserver/index.ts';

export interface ClusterDns {
  readonly servers: readonly string[];
  readonly domain: string;
}

/** What a pod's /etc/resolv.conf says, by its dnsPolicy and dnsConfig; `nodeText` is the node's own. */
export function podResolvConf(pod: Pod, dns: ClusterDns, nodeText: string): string {
  const base = usesCluster(pod) ? clusterSettings(pod, dns) : parse(pod.spec.dnsPolicy === 'None' ? '' : nodeText);
  const extra = pod.spec.dnsConfig ?? {};
  const servers = [...new Set([...base.servers, ...(extra.nameservers ?? [])])];
  const searches = [...new Set([...base.searches, ...(extra.searches ?? [])])];
  const options = new Map(base.options);
  for (const { name, value } of extra.options ?? []) options.set(name, value);
  return [
    ...servers.map((server) => `nameserver ${server}`),
    ...(searches.length > 0 ? [`search ${searches.join(' ')}`] : []),
    ...(options.size > 0
      ? [`options ${[...options].map(([name, value]) => (value ? `${name}:${value}` : name)).join(' ')}`]
      : []),
    '',
  ].join('\n');
}

interface Settings {
  readonly servers: readonly string[];
  readonly searches: readonly string[];
  readonly options: ReadonlyMap<string, string | undefined>;
}

function usesCluster(pod: Pod): boolean {
  const policy = pod.spec.dnsPolicy ?? 'ClusterFirst';
  if (policy === 'ClusterFirst') return !pod.spec.hostNetwork;
  return policy === 'ClusterFirstWithHostNet';
}

function clusterSettings(pod: Pod, { servers, domain }: ClusterDns): Settings {
  const namespace = pod.metadata.namespace ?? 'default';
  const searches = [`${namespace}.svc.${domain}`, `svc.${domain}`, domain];
  return { servers, searches, options: new Map([['ndots', '5']]) };
}

function parse(text: string): Settings {
  const words = text.split('\n').map((line) => line.trim().split(/\s+/));
  const valuesOf = (keyword: string) => words.filter(([first]) => first === keyword).flatMap(([, ...rest]) => rest);
  const options = valuesOf('options').map((option): [string, string | undefined] => {
    const [name = '', value] = option.split(':');
    return [name, value];
  });
  return { servers: valuesOf('nameserver'), searches: valuesOf('search'), options: new Map(options) };
}

/** What its /etc/hosts says. */
export function podHosts(pod: Pod, addresses: readonly string[], domain: string): string {
  const name = pod.spec.hostname ?? pod.metadata.name;
  const full = pod.spec.subdomain && `${name}.${pod.spec.subdomain}.${pod.metadata.namespace}.svc.${domain}`;
  return [
    '127.0.0.1\tlocalhost',
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...addresses.map((address) => `${address}\t${full ? `${full}\t` : ''}${name}`),
    '',
  ].join('\n');
}
