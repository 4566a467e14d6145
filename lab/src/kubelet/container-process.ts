import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { LabError } from '../error.ts';
import { isRunning, type ProcessId, processId } from '../host/process-id.ts';
import { labRun } from '../host/program.ts';
import { labsDirectory } from '../layout.ts';
import type { ContainerCommand } from './image.ts';
import type { Sandbox } from './sandbox.ts';

export interface Exit {
  readonly exitCode: number;
  readonly signal: number;
}

/** A process in a pod; its output goes to a file, so that it lives on when the daemon ends. */
export interface ContainerProcess {
  readonly id: ProcessId;
  readonly exit: Promise<Exit>;
}

const signalNumbers: Readonly<Record<string, number>> = {
  SIGHUP: 1,
  SIGINT: 2,
  SIGABRT: 6,
  SIGKILL: 9,
  SIGSEGV: 11,
  SIGTERM: 15,
};
const adoptedCheckMs = 500;

export interface StartOptions {
  readonly sandbox: Sandbox;
  readonly command: ContainerCommand;
  readonly environment: Readonly<Record<string, string>>;
  readonly hostname: string;
  readonly workingDirectory: string;
  readonly logFile: string;
}

export function startContainer(options: StartOptions): ContainerProcess {
  const { sandbox, command, environment, logFile } = options;
  const log = openSync(logFile, 'a', 0o644);
  try {
    const child = spawn(labRun, launchArguments(options), {
      env: { ...environment },
      stdio: ['ignore', log, log],
      detached: true,
    });
    const exit = new Promise<Exit>((resolve) => {
      child.on('error', () => resolve({ exitCode: 127, signal: 0 }));
      child.on('exit', (code, signal) => {
        const number = signal === null ? 0 : (signalNumbers[signal] ?? 0);
        resolve({ exitCode: code ?? 128 + number, signal: number });
      });
    });
    child.unref();
    const id = child.pid === undefined ? undefined : processId(child.pid);
    if (!id) throw new LabError(`start ${command.file} in ${sandbox.namespace}/${sandbox.name}: it ended at once`);
    return { id, exit };
  } finally {
    closeSync(log);
  }
}

/** One that an earlier daemon has started. How it ends is not told to us. */
export function adoptContainer(id: ProcessId): ContainerProcess {
  const exit = new Promise<Exit>((resolve) => {
    const timer = setInterval(() => {
      if (isRunning(id)) return;
      clearInterval(timer);
      resolve({ exitCode: 0, signal: 0 });
    }, adoptedCheckMs);
    timer.unref();
  });
  return { id, exit };
}

function launchArguments({ sandbox, command, hostname, workingDirectory }: StartOptions): string[] {
  const own = (file: string) => `${sandbox.directory}/${file}`;
  return [
    ...['exec', '--cgroup', sandbox.cgroup, '--net', sandbox.netns, '--hostname', hostname],
    ...['--bind', `${own('resolv.conf')}:/etc/resolv.conf`, '--bind', `${own('hosts')}:/etc/hosts`],
    ...['--chdir', workingDirectory, '--hide', labsDirectory, '--own-files', join(installationRoot(), 'dist')],
    ...['--', command.file, ...command.args],
  ];
}
