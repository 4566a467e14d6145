import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, processId } from '../host/process-id.ts';
import { labRun } from '../host/program.ts';

export interface SupervisedOptions {
  readonly name: string;
  readonly cgroup: string;
  readonly netns: string;
  readonly hostname: string;
  readonly command: readonly string[];
  /** Beside the daemon's own. */
  readonly environment?: Readonly<Record<string, string>>;
  readonly logFile: string;
  readonly log: (message: string) => void;
}

/** A process of ours on a node, started again when it ends. It does not outlive the daemon. */
export interface Supervised {
  readonly name: string;
  readonly pid: number | undefined;
  readonly restartCount: number;
  /** Why it last ended; undefined while it has not. */
  readonly lastExit: string | undefined;
  stop(): Promise<void>;
}

const restartMs = { first: 200, most: 1_000, forgottenAfter: 10_000 };
const graceMs = 3_000;

export function supervise(options: SupervisedOptions): Supervised {
  const stopped = new AbortController();
  const state: { pid: number | undefined; restartCount: number; lastExit: string | undefined } = {
    pid: undefined,
    restartCount: 0,
    lastExit: undefined,
  };
  const keepRunning = async () => {
    let waitMs = restartMs.first;
    while (!stopped.signal.aborted) {
      const began = performance.now();
      state.lastExit = await runOnce(options, (pid) => {
        state.pid = pid;
      });
      state.pid = undefined;
      if (stopped.signal.aborted) return;
      options.log(`${options.name} ended (${state.lastExit}), starting it again; its log: ${options.logFile}`);
      if (performance.now() - began > restartMs.forgottenAfter) waitMs = restartMs.first;
      await delay(waitMs, undefined, { signal: stopped.signal }).catch(() => undefined);
      waitMs = Math.min(2 * waitMs, restartMs.most);
      state.restartCount++;
    }
  };
  const running = keepRunning();
  return {
    name: options.name,
    get pid() {
      return state.pid;
    },
    get restartCount() {
      return state.restartCount;
    },
    get lastExit() {
      return state.lastExit;
    },
    stop: async () => {
      stopped.abort();
      const id = state.pid === undefined ? undefined : processId(state.pid);
      if (id) await endProcess(id, graceMs);
      await running;
    },
  };
}

function runOnce(options: SupervisedOptions, started: (pid: number | undefined) => void): Promise<string> {
  const log = openSync(options.logFile, 'a', 0o644);
  const where = ['--cgroup', options.cgroup, '--net', options.netns, '--hostname', options.hostname];
  const child = spawn(labRun, ['exec', '--die-with-parent', ...where, '--', ...options.command], {
    stdio: ['ignore', log, log],
    env: { ...process.env, ...options.environment },
  });
  closeSync(log);
  started(child.pid);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
}
