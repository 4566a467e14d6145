import { legacyRules } from './iptables.ts';
import { nftablesRules } from './nftables.ts';
import { ownerOf } from './owners.ts';

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
