/**
 * Builds what runs: BPF objects (bpf/build), static C programs, kubectl and helm (dist/bin), bundles of the processes (dist).
 * Each output remembers its inputs, and what has not changed is not built again. `node tools/build.ts [--force]`.
 */
import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildBpfObjects } from './build/bpf.ts';
import { buildBundles } from './build/bundles.ts';
import { extractClusterTools } from './build/cluster-tools.ts';
import { openFreshness } from './build/freshness.ts';
import { buildPrograms } from './build/programs.ts';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '..');
process.chdir(root);
mkdirSync('dist/bin', { recursive: true });
const freshness = openFreshness('dist/.inputs.json', { force: process.argv.includes('--force') });

// One part's failure does not keep the others from being built.
for (const buildPart of [buildBpfObjects, buildPrograms, buildBundles, extractClusterTools]) {
  try {
    await buildPart(freshness);
  } catch (error) {
    console.error(`build: ${error instanceof Error ? error.message : error}`);
    process.exitCode = 1;
  }
}
freshness.save();
