import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { endProcess, isRunning, type ProcessId, processId, readPidFile, writePidFile } from '../host/process-id.ts';
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
  /** Given: it outlives the daemon, and the next one finds it by this file. */
  readonly pidFile?: string;
  readonly log: (message: string) => void;
}

/** A process of ours on a node or outside, started again when it ends. */
export interface Supervised {
  readonly name: string;
  readonly pid: number | undefined;
  readonly restartCount: number;
  /** Why it last ended; undefined while it has not. */
  readonly lastExit: string | undefined;
  /** Ends it, if it does not outlive the daemon. */
  stop(): Promise<void>;
  /** Starts it no more. Somebody else ends it. */
  abandon(): void;
}

const restartMs = { first: 200, most: 1_000, forgottenAfter: 10_000 };
const graceMs = 3_000;
const adoptedCheckMs = 500;

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
      const adopted = options.pidFile ? readPidFile(options.pidFile) : undefined;
      state.pid = adopted?.pid;
      state.lastExit = adopted
        ? await endOf(adopted, stopped.signal)
        : await runOnce(options, (pid) => {
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
    abandon: () => stopped.abort(),
    stop: async () => {
      stopped.abort();
      if (options.pidFile) return;
      const id = state.pid === undefined ? undefined : processId(state.pid);
      if (id) await endProcess(id, graceMs);
      await running;
    },
  };
}

/** Of one that an earlier daemon has started: how it ends is not told to us. */
async function endOf(id: ProcessId, signal: AbortSignal): Promise<string> {
  while (isRunning(id) && !signal.aborted) await delay(adoptedCheckMs, undefined, { signal }).catch(() => undefined);
  return 'ended';
}

function runOnce(options: SupervisedOptions, started: (pid: number | undefined) => void): Promise<string> {
  const log = openSync(options.logFile, 'a', 0o644);
  const where = ['--cgroup', options.cgroup, '--net', options.netns, '--hostname', options.hostname];
  const outlives = options.pidFile !== undefined;
  const child = spawn(
    labRun,
    ['exec', ...(outlives ? [] : ['--die-with-parent']), ...where, '--', ...options.command],
    {
      stdio: ['ignore', log, log],
      env: { ...process.env, ...options.environment },
      detached: outlives,
    },
  );
  closeSync(log);
  started(child.pid);
  if (options.pidFile) writePidFile(options.pidFile, child.pid);
  return new Promise((resolve) => {
    child.on('error', (error) => resolve(error.message));
    child.on('exit', (code, signal) => resolve(signal ?? `exit status ${code}`));
  });
}
