/** docs/conformance.md: what Kubernetes' own tests say of Sluice, and which of them were not asked. */

import type { SpecResult } from './report.ts';
import type { ExcludedCase } from './selection.ts';

export interface ConformanceFacts {
  readonly date: string;
  /** What ran: "Kubernetes v1.35.4", "containerd v2.2.9", ... */
  readonly versions: readonly string[];
  readonly results: readonly SpecResult[];
  readonly excluded: readonly ExcludedCase[];
}

export function conformancePage({ date, versions, results, excluded }: ConformanceFacts): string {
  const of = (status: SpecResult['status']) => results.filter((result) => result.status === status);
  return `# Kubernetes' own tests

Written by \`npm run test:kubernetes\`; do not edit. It brings a real cluster up ([kubernetes/](../kubernetes/README.md)), installs the chart
as the only network, without kube-proxy, and runs every case of \`[sig-network]\` in Kubernetes' \`e2e.test\` but those listed here.

| | |
|---|---|
| date | ${date} |
| versions | ${versions.join(', ')} |
| passed | ${of('passed').length} |
| failed | ${of('failed').length} |
| skipped by the case itself | ${of('skipped').length} |
| left out by us, with reasons below | ${excluded.length} |

${section('Failed', of('failed').map(withReason))}${section('Skipped by the case itself', of('skipped').map(withReason))}## Left out

${byReason(excluded)}
## Passed

${list(of('passed').map(({ name }) => name))}`;
}

function section(title: string, lines: readonly string[]): string {
  return lines.length === 0 ? '' : `## ${title}\n\n${list(lines)}\n`;
}

function withReason({ name, reason }: SpecResult): string {
  const [line = ''] = reason.split('\n');
  return `${name}: ${line.slice(0, 200)}`;
}

function byReason(excluded: readonly ExcludedCase[]): string {
  const reasons = Map.groupBy(excluded, ({ reason }) => reason);
  return [...reasons]
    .map(([reason, cases]) => `**${reason}** (${cases.length})\n\n${list(cases.map(({ name }) => name))}`)
    .join('\n');
}

/** Names hold brackets and stars, which are no markup. */
function list(lines: readonly string[]): string {
  return `${[...lines]
    .sort()
    .map((line) => `- \`${short(line).replaceAll('`', "'")}\`\n`)
    .join('')}`;
}

function short(name: string): string {
  return name.replace(/^\[sig-network\] /, '').trim();
}
