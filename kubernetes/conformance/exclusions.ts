/** Cases of [sig-network] that do not run, each with the reason. The first that matches is the reason that is shown. */

export interface Exclusion {
  /** A regular expression over the whole name; one that matches no case is an error: it is out of date. */
  readonly pattern: string;
  readonly reason: string;
}

export const exclusions: readonly Exclusion[] = [
  { pattern: '\\[Alpha\\]', reason: 'an Alpha feature: its gate is off in the API server' },
  { pattern: 'Provider:GCE', reason: 'bound to a cloud: addresses of its metadata server' },
  {
    pattern: 'Feature:PerformanceDNS',
    reason: "measures the name server with 10,000 services: CoreDNS's matter, and 40 minutes",
  },
  {
    pattern: 'Feature:KubeProxyDaemonSetMigration|KubeProxyNFAcct|restarting kube-proxy|kube-proxy urls',
    reason: 'about kube-proxy itself, which does not run',
  },
  {
    pattern: 'recreate its iptables rules',
    reason:
      'deletes iptables rules of kube-proxy over ssh; Sluice has none, and repairs its own programs (packages/agent)',
  },
  {
    pattern: 'Networking should provide.? Internet connection|DNS configMap nameserver',
    reason: 'asks servers on the internet, which these nodes cannot reach',
  },
];
