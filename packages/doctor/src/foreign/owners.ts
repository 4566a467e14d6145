/** kube-proxy's own, of its modes iptables and IPVS; the kubelet and kube-router name theirs in the same way. */
const kubeProxyChain =
  /^KUBE-(SERVICES|EXTERNAL-SERVICES|NODEPORTS|POSTROUTING|MARK-MASQ|MARK-DROP|FORWARD|PROXY-FIREWALL|PROXY-CANARY|LOAD-BALANCER|NODE-PORT|IPVS-FILTER|IPVS-OUT-FILTER|SOURCE-RANGES-FIREWALL|(SVC|SVL|EXT|FW|XLB|SEP)-.+)$/;
/** Of its mode nftables. */
const kubeProxyTable = /^kube-proxy$/;

export function isKubeProxyChain(name: string): boolean {
  return kubeProxyChain.test(name);
}

export function isKubeProxyTable(name: string): boolean {
  return kubeProxyTable.test(name);
}

const owners: readonly (readonly [RegExp, string])[] = [
  [kubeProxyChain, 'kube-proxy'],
  [kubeProxyTable, 'kube-proxy'],
  [/^(KUBE-KUBELET|KUBE-FIREWALL|KUBE-IPTABLES-HINT)/, 'kubelet'],
  [/^KUBE-(ROUTER|POD-FW|NWPLCY|SRC|DST)-/, 'kube-router'],
  [/^(CILIUM|OLD_CILIUM|cilium)/, 'cilium'],
  [/^(cali-|cali:|calico)/, 'calico'],
  [/^(FLANNEL|flannel)/, 'flannel'],
  [/^(CNI-|cni)/, 'CNI plugins'],
  [/^(DOCKER|docker)/, 'docker'],
  [/^(LIBVIRT|libvirt)/, 'libvirt'],
  [/^(f2b-|fail2ban)/, 'fail2ban'],
  [/^(ufw)/, 'ufw'],
  [/^firewalld$/, 'firewalld'],
];

/** By the names that well-known owners give to their chains and tables; otherwise the table speaks for itself. */
export function ownerOf({ table, chain }: { readonly table: string; readonly chain: string }): string {
  // Those of nftables bear their family: `ip kube-proxy`, `inet firewalld`.
  const name = table.replace(/^(inet|ip6?|arp|bridge|netdev) /, '');
  const known = owners.find(([pattern]) => pattern.test(chain) || pattern.test(name));
  return known?.[1] ?? `table ${table}`;
}
