import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** A page: an empty file can be made on a full disk. */
const probeBytes = 4096;

/** Why nothing can be kept across restarts, as a write now tells; undefined when it can. */
export function stateFolderProblem(path: string): string | undefined {
  const probe = join(path, `.probe.${process.pid}`);
  try {
    writeFileSync(probe, new Uint8Array(probeBytes), { mode: 0o600 });
    rmSync(probe);
    return undefined;
  } catch (error) {
    removeIfPossible(probe);
    return `${path} cannot be written: ${error instanceof Error ? error.message : String(error)}`;
  }
}

function removeIfPossible(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // Read-only: what cannot be removed was not made either.
  }
}
