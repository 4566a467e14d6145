import { chmodSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { close, lock, openFd } from '@sluice/ffi';
import { someoneListens } from './local-api.ts';

export function cniSocketIn(runDir: string): string {
  return join(runDir, 'cni.sock');
}

export function apiSocketIn(runDir: string): string {
  return join(runDir, 'sluice.sock');
}

/**
 * Makes the directory ours, with our process id; two agents on one node would undo each other's work. The lock tells two
 * that start at the same time apart, the sockets an agent of before there was one; both end with their process.
 */
export async function claimRunDirectory(runDir: string): Promise<Disposable> {
  mkdirSync(runDir, { recursive: true });
  // A kubelet has made it for all to enter.
  chmodSync(runDir, 0o700);
  using stack = new DisposableStack();
  const pidFile = join(runDir, 'agent.pid');
  const directory = stack.adopt(openFd(runDir), close);
  if (!lock(directory)) {
    throw new Error(
      `another agent has ${runDir}${processIn(pidFile)}: one agent a node, or give another --run-dir, --state-dir and --bpffs`,
    );
  }
  for (const path of [cniSocketIn(runDir), apiSocketIn(runDir)]) {
    if (existsSync(path) && (await someoneListens(path))) {
      throw new Error(
        `another agent answers at ${path}: one agent a node, or give another --run-dir, --state-dir and --bpffs`,
      );
    }
  }
  writeFileSync(pidFile, `${process.pid}\n`);
  stack.defer(() => rmSync(pidFile, { force: true }));
  return stack.move();
}

/** It may have begun this moment, and not have written it. */
function processIn(pidFile: string): string {
  return existsSync(pidFile) ? ` (process ${readFileSync(pidFile, 'utf8').trim()})` : '';
}
