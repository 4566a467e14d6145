import type { FoundRule } from './foreign-rules.ts';
import { type LegacyTable, legacyEntries, legacyTables } from './legacy-tables.ts';

/** Rules of legacy iptables. */
export function legacyRules(procPath: string): FoundRule[] {
  return legacyTables(procPath).flatMap(rulesOf);
}

/** A user's chain ends with a bare RETURN, a built-in chain with its policy, and neither is a rule. */
function rulesOf({ name: table, protocol, underflows, entries }: LegacyTable): FoundRule[] {
  const all = legacyEntries(entries, protocol.ipBytes);
  return all.flatMap(({ offset, chain, isHead }, index) => {
    const isEndOfChain = chain !== 'built-in' && (all[index + 1]?.isHead ?? true);
    return isHead || isEndOfChain || underflows.includes(offset) ? [] : [{ kind: 'iptables', table, chain }];
  });
}
