import { formatPrefix, type Prefix, prefixesOverlap } from '@sluice/net';
import type { OptionPath, ValueOf } from './options.ts';

type Given = ReadonlyMap<OptionPath, { readonly line: number }>;
type Report = (path: string, line: number, message: string) => void;

/** What no option can see of itself. */
export function checkTogether(given: Given, read: (path: OptionPath) => unknown, report: Report): void {
  const value = <P extends OptionPath>(path: P) => read(path) as ValueOf<P>;
  const problem = (path: OptionPath, message: string) => report(path, given.get(path)?.line ?? 0, message);
  if (!value('ipv4.enabled') && !value('ipv6.enabled')) {
    problem('ipv4.enabled', 'one of ipv4.enabled and ipv6.enabled must be true');
  }
  for (const family of ['IPv4', 'IPv6'] as const) {
    const list = `ipam.operator.clusterPool${family}PodCIDRList` as const;
    const size = `ipam.operator.clusterPool${family}MaskSize` as const;
    for (const message of poolProblems(value(list), value(size))) problem(given.has(list) ? list : size, message);
  }
}

function poolProblems(prefixes: readonly Prefix[], maskSize: number): string[] {
  return prefixes.flatMap((prefix, index) => {
    const problems: string[] = [];
    if (prefix.length > maskSize) problems.push(`${formatPrefix(prefix)} is smaller than the /${maskSize} of one node`);
    // The operator counts the CIDRs of a pool: 2^24 of them are more nodes than there ever will be.
    if (maskSize - prefix.length > 24) {
      problems.push(`${formatPrefix(prefix)} has more than 2^24 pod CIDRs of /${maskSize}; take a smaller pool`);
    }
    const earlier = prefixes.slice(0, index).find((other) => prefixesOverlap(other, prefix));
    if (earlier) problems.push(`${formatPrefix(prefix)} overlaps ${formatPrefix(earlier)}`);
    return problems;
  });
}
