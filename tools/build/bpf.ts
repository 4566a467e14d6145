import { execFileSync } from 'node:child_process';
import { globSync } from 'node:fs';
import type { Freshness } from './freshness.ts';

/** The BPF objects, by their own tool, when a file below bpf/ or the tool has changed. */
export function buildBpfObjects(freshness: Freshness): void {
  const tool = 'tools/bpf-build.ts';
  const sources = globSync('bpf/*.bpf.c');
  const recipe = [tool, ...sources].join(' ');
  const outputs = sources.map((source) => source.replace(/^bpf\/(.+)\.bpf\.c$/, 'bpf/build/$1.o'));
  if (outputs.every((output) => freshness.isFresh(output, recipe))) return;
  console.log(`build: ${outputs.join(' ')}`);
  execFileSync(process.execPath, [tool], { stdio: ['ignore', 'inherit', 'inherit'] });
  const inputs = [tool, ...globSync('bpf/**/*.{c,h}')];
  for (const output of outputs) freshness.record(output, recipe, inputs);
}
