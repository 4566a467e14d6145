import { createHash } from 'node:crypto';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';

// Entries name their chunks by content, so they change with whatever is in them. Programs of dist/bin are read at each call.
const parts = ['dist/agent.js', 'dist/lab.js', 'dist/operator.js', 'bpf/build/*.o'];

/** Of this installation; of sources, which are never the same for long, nothing is said. */
export function presentBuild(): string {
  return process.env.SLUICE_SOURCE ? 'sources' : buildIdentity(installationRoot());
}

/** Tells one build of the lab's long-running processes from another; of what is missing, nothing counts. */
export function buildIdentity(root: string): string {
  const hash = createHash('sha256');
  for (const file of parts.flatMap((part) => globSync(part, { cwd: root }).sort())) {
    hash.update(`${file}\n`).update(readFileSync(join(root, file)));
  }
  return hash.digest('hex').slice(0, 16);
}
