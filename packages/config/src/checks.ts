import { formatPrefix, type Prefix, prefixesOverlap } from '@sluice/net';
import type { PortRange } from './option-types.ts';
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
  const left = portsBeside(value('nodePort.range'));
  if (left < portsLeftMin) {
    const message = `leaves ${left} ports from 1024 up for the sources of translated connections, which need ${portsLeftMin} at least`;
    problem('nodePort.range', message);
  }
  for (const family of ['IPv4', 'IPv6'] as const) {
    const list = `ipam.operator.clusterPool${family}PodCIDRList` as const;
    const size = `ipam.operator.clusterPool${family}MaskSize` as const;
    for (const message of poolProblems(value(list), value(size))) problem(given.has(list) ? list : size, message);
  }
}

/** Below that a single busy client would have them all (`sluice nat top`). */
const portsLeftMin = 1024;

/** Of 1024 to 65535, as SNAT_PORT_FIRST and SNAT_PORT_LAST of bpf/lib/limits.h. */
function portsBeside({ first, last }: PortRange): number {
  const [lowest, highest] = [1024, 65_535];
  return highest - lowest + 1 - Math.max(0, Math.min(last, highest) - Math.max(first, lowest) + 1);
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
