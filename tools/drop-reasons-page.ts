// docs/drop-reasons.md, from the texts that events and counters have.
import { DropReason, dropReasonNames, dropReasonText, isDrop } from '../packages/datapath/src/index.ts';
import { explainedReasons, kernelReasonText } from '../packages/datapath/src/kernel-reasons.ts';

export const DROP_REASONS_PAGE = 'docs/drop-reasons.md';

export function dropReasonsPage(): string {
  const own = Object.values(DropReason).filter(isDrop);
  return `<!-- Generated from packages/datapath by "npm run generate": do not edit. -->

# Why packets are dropped

The reasons as \`sluice monitor\`, \`sluice status\` and \`sluice explain\` tell them, and what to do about each. \`sluice monitor --reason\` takes any
part of a text or of a name; \`cilium_drop_count_total\` has the texts in its label \`reason\`.

## Sluice's own

| reason | name | what to do |
| --- | --- | --- |
${own.map((reason) => row(dropReasonText[reason].text, dropReasonNames[reason], dropReasonText[reason].hint)).join('\n')}

## The kernel's, after ours

What the kernel drops on a device of ours once our programs have let it pass, by the names of its \`enum skb_drop_reason\`. It has more
than these; the others are told by their name alone.

| reason | what to do |
| --- | --- |
${explainedReasons.map((name) => kernelRow(name)).join('\n')}
`;
}

function kernelRow(name: string): string {
  const { text, hint } = kernelReasonText(name, undefined);
  return row(text, hint);
}

function row(...cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}
