import { legacyRules } from './iptables.ts';
import { nftablesRules } from './nftables.ts';

/** A rule of somebody else: where it stands, by which its owner is guessed. */
export interface FoundRule {
  readonly kind: 'iptables' | 'nftables';
  readonly table: string;
  readonly chain: string;
}

export interface ForeignRules {
  /** Most first. */
  readonly foreignRules: readonly {
    readonly kind: 'iptables' | 'nftables';
    readonly owner: string;
    readonly count: number;
  }[];
  /** Why the rules could not be counted, if so: then nothing is claimed about them. */
  readonly foreignRulesUnknown: string | undefined;
}

/** Counts the rules in the caller's network namespace by reading the kernel. Where it cannot be read, nothing is claimed. */
export function foreignRules({ procPath }: { procPath: string }): ForeignRules {
  try {
    const rules = [...nftablesRules(), ...legacyRules(procPath)];
    return { foreignRules: countByOwner(rules), foreignRulesUnknown: undefined };
  } catch (error) {
    return { foreignRules: [], foreignRulesUnknown: error instanceof Error ? error.message : String(error) };
  }
}

export function countByOwner(rules: readonly FoundRule[]): ForeignRules['foreignRules'] {
  const counts = new Map<string, { kind: FoundRule['kind']; owner: string; count: number }>();
  for (const rule of rules) {
    const owner = ownerOf(rule);
    const key = `${rule.kind} ${owner}`;
    const entry = counts.get(key) ?? { kind: rule.kind, owner, count: 0 };
    entry.count += 1;
    counts.set(key, entry);
  }
  return [...counts.values()].sort((left, right) => right.count - left.count);
}

const owners: readonly (readonly [RegExp, string])[] = [
  // Before kube-proxy, whose names begin alike.
  [/^(KUBE-KUBELET|KUBE-FIREWALL|KUBE-IPTABLES-HINT)/, 'kubelet'],
  [/^(KUBE-|kube-proxy)/, 'kube-proxy'],
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
function ownerOf({ table, chain }: FoundRule): string {
  // Those of nftables bear their family: `ip kube-proxy`, `inet firewalld`.
  const name = table.replace(/^(inet|ip6?|arp|bridge|netdev) /, '');
  const known = owners.find(([pattern]) => pattern.test(chain) || pattern.test(name));
  return known?.[1] ?? `table ${table}`;
}
