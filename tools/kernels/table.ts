/** The table of instructions in bpf/README.md: a line for each program, two columns for each kernel. */
import type { KernelResults } from './results.ts';

const BEGIN = '<!-- instructions: written by npm run test:kernels -->';
const END = '<!-- end of instructions -->';

/** Throws when the text has no place for it. */
export function withTable(text: string, results: readonly KernelResults[]): string {
  const [begin, end] = [text.indexOf(BEGIN), text.indexOf(END)];
  if (begin < 0 || end < begin) throw new Error(`there is no "${BEGIN}" and "${END}" in the text`);
  return `${text.slice(0, begin + BEGIN.length)}\n\n${instructionTable(results)}\n\n${text.slice(end)}`;
}

export function instructionTable(results: readonly KernelResults[]): string {
  const names = [...new Set(results.flatMap(({ programs }) => [...programs.keys()]))];
  const header = results.flatMap(({ release }) => [shortRelease(release), 'verifier walked']);
  const rows = names.map((name) => [
    `\`${name}\``,
    ...results.flatMap(({ programs }) => {
      const found = programs.get(name);
      return found === undefined ? ['–', '–'] : [String(found.own), String(found.walked)];
    }),
  ]);
  return [['program', ...header], ['---', ...header.map(() => '---')], ...rows]
    .map((cells) => `| ${cells.join(' | ')} |`)
    .join('\n');
}

/** `6.12.117` of `6.12.117+deb12-cloud-amd64`. */
function shortRelease(release: string): string {
  return /^\d+(\.\d+)*/.exec(release)?.[0] ?? release;
}
