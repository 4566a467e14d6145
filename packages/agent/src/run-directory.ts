import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { someoneListens } from './local-api.ts';

export function cniSocketIn(runDir: string): string {
  return join(runDir, 'cni.sock');
}

export function apiSocketIn(runDir: string): string {
  return join(runDir, 'sluice.sock');
}

/** Makes the directory ours, with our process id; two agents on one node would undo each other's work. */
export async function claimRunDirectory(runDir: string): Promise<Disposable> {
  mkdirSync(runDir, { recursive: true, mode: 0o755 });
  for (const path of [cniSocketIn(runDir), apiSocketIn(runDir)]) {
    if (existsSync(path) && (await someoneListens(path))) {
      throw new Error(`another agent answers at ${path}: one agent a node, or give another --run-dir`);
    }
  }
  const pidFile = join(runDir, 'agent.pid');
  writeFileSync(pidFile, `${process.pid}\n`);
  return { [Symbol.dispose]: () => rmSync(pidFile, { force: true }) };
}
