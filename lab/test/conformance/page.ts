/** docs/conformance-lab.md: from what the tests declare of themselves, and run through. */
import { conformanceCases } from './cases.ts';
import { provedElsewhere } from './proved-elsewhere.ts';
import { combinations, type Hook, hooks, type Modes, modesAt } from './upstream-case.ts';

export const CONFORMANCE_LAB_PAGE = 'docs/conformance-lab.md';

export function conformanceLabPage(): string {
  const names = conformanceCases.flatMap(({ upstream }) => upstream);
  return `<!-- Generated from lab/test/conformance by "npm run generate": do not edit. -->

# Kubernetes' cases of services, in every mode

[conformance.md](conformance.md) tells what Kubernetes' own tests say on a real cluster, in the mode that is the default. Here are those of
its cases in which a mode could make a difference, written anew for [the lab](../lab/README.md) and run in all of them: ${names.length} cases as
${conformanceCases.length} tests. \`npm test\` runs them and passes only when each of them does, so that a line in this table is a case that passes.

Modes of each are all combinations of what it names. \`socket\` is a process of a pod, \`packet\` a network stack of its own in a pod, which no
socket hook sees, \`node\` a process of a node, \`outside\` a client beyond the router. \`hybrid\` is what the values say, \`snat\`
and \`dsr\`, \`random\` and \`maglev\` are annotations of the Service. Packets that come by the network are translated at TC; at XDP
(\`loadBalancer.acceleration: native\`) where TC has decided already, so that clients outside are asked there as well.

${conformanceCases.map((each) => section(each.sentence, each.upstream, each.modes)).join('\n')}
## Held by other tests

${provedElsewhere.map(({ upstream, file, test }) => `- ${list(upstream)}: ${test} ([${file}](../${file}))`).join('\n')}
`;
}

function section(sentence: string, upstream: readonly string[], modes: Modes): string {
  return `## ${sentence[0]?.toUpperCase()}${sentence.slice(1)}

| | |
|---|---|
| Kubernetes' names | ${list(upstream)} |
${hooks.map((hook) => modesRow(hook, modesAt(hook, modes))).join('')}`;
}

function modesRow(hook: Hook, modes: Modes): string {
  const count = combinations(modes).length;
  return count === 0 ? '' : `| at ${hook.toUpperCase()} | ${count} modes: ${axes(modes)} |\n`;
}

function axes({ forwarding, algorithm, client, protocol, family }: Modes): string {
  const families = family.map((each) => `IPv${each}`);
  return [forwarding, algorithm, client, protocol.map((name) => name.toUpperCase()), families]
    .map((values) => values.join(' / '))
    .join(' × ');
}

function list(names: readonly string[]): string {
  return names.map((name) => `\`${name.replaceAll('`', "'")}\``).join(', ');
}
