/** Cases of [sig-network] that do not run, each with the reason. The first that matches is the reason that is shown. */

export interface Exclusion {
  /** A regular expression over the whole name, of the syntax that Go knows, too; one that matches no case is out of date. */
  readonly pattern: string;
  readonly reason: string;
}

const noBalancer = 'not yet: nobody gives an address to a Service of type LoadBalancer here';

export const exclusions: readonly Exclusion[] = [
  { pattern: '\\[Alpha\\]', reason: 'an Alpha feature: its gate is off in the API server' },
  { pattern: 'Provider:GCE', reason: 'bound to a cloud: names of its metadata server' },
  {
    pattern: 'KubeProxyDaemonSetMigration|KubeProxyNFAcct|restarting kube-proxy|kube-proxy urls',
    reason: 'about kube-proxy itself, which does not run',
  },
  {
    pattern: 'TCP CLOSE_WAIT timeout',
    reason:
      "reads the entries that kube-proxy's rules make in the kernel's nf_conntrack; Sluice keeps its connections itself",
  },
  {
    pattern: 'recreate its iptables rules',
    reason: 'deletes iptables rules over SSH; Sluice has none, and its own programs are looked after every ten seconds',
  },
  {
    pattern: 'restarting apiserver',
    reason:
      'restarts the API server over SSH, which these nodes do not have; kubernetes/test/api-server.cluster.test.ts does it',
  },
  {
    pattern: 'Internet connection for containers|DNS configMap nameserver',
    reason: 'asks servers on the internet or changes a cloud’s kube-dns; these nodes reach neither',
  },
  {
    pattern: 'Feature:PerformanceDNS',
    reason: "measures the name server with 10,000 services: CoreDNS's matter, and an hour",
  },
  {
    pattern: 'Feature:Networking-Performance',
    reason: 'measures with iperf, which the images made here lack; npm run bench measures',
  },
  { pattern: 'Feature:NetworkPolicy', reason: 'not yet: policies are stored, none is enforced' },
  { pattern: 'Feature:SCTPConnectivity|SCTP', reason: 'not yet: SCTP is not served' },
  { pattern: 'Feature:LoadBalancer|Type LoadBalancer', reason: noBalancer },
];
