import { execFile, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { installationRoot } from '@sluice/runtime';
import { LabError } from '../error.ts';

/** The lab's own static programs and kubectl. */
export const programDirectory = join(installationRoot(), 'dist/bin');
export const labRun = join(programDirectory, 'lab-run');
export const labPod = join(programDirectory, 'lab-pod');
/** The search path inside pods: the lab's commands, then whatever the machine has. */
export const podPath = `${join(installationRoot(), 'dist/pod')}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin`;
export const sluiceCni = join(programDirectory, 'sluice-cni');

export interface ProgramOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
}

export interface ProgramResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

const outputBytesMax = 4 << 20;

/** Runs a program to its end, whatever its status. Fails only when it cannot be started or does not end in time. */
export function runProgram(
  file: string,
  args: readonly string[],
  options: ProgramOptions = {},
): Promise<ProgramResult> {
  const { input = '', environment, timeoutMs = 20_000 } = options;
  return new Promise((resolve, reject) => {
    const child = execFile(
      file,
      args,
      {
        timeout: timeoutMs,
        killSignal: 'SIGKILL',
        maxBuffer: outputBytesMax,
        ...(environment && { env: environment }),
      },
      (error, stdout, stderr) => {
        if (!error) return resolve({ status: 0, stdout, stderr });
        if (error.killed) return reject(new LabError(`${file} ${args.join(' ')}: not done after ${timeoutMs} ms`));
        if (typeof error.code === 'number') return resolve({ status: error.code, stdout, stderr });
        reject(new LabError(`${file}: ${error.message}`, { cause: error }));
      },
    );
    // A program that does not read its input closes the pipe; its status says what matters.
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(input);
  });
}

/** Runs a program that must succeed; gives its output. */
export async function callProgram(file: string, args: readonly string[], options?: ProgramOptions): Promise<string> {
  const { status, stdout, stderr } = await runProgram(file, args, options);
  if (status === 0) return stdout;
  throw new LabError(stderr.trim() || `${file} ${args.join(' ')}: exit status ${status}`);
}

/** `ip` commands, all in one go, inside a network namespace. */
export async function callIp(netns: string, commands: readonly string[]): Promise<void> {
  if (commands.length === 0) return;
  await callProgram(labRun, ['exec', '--net', netns, '--', 'ip', '-batch', '-'], { input: `${commands.join('\n')}\n` });
}

/** What `ip -json ...` sees inside a network namespace. */
export async function readIp(netns: string, ...args: readonly string[]): Promise<unknown> {
  const output = await callProgram(labRun, ['exec', '--net', netns, '--', 'ip', '-json', ...args]);
  return output.trim() === '' ? [] : JSON.parse(output);
}

/** Runs a program on this terminal and gives its exit status. */
export function runOnTerminal(file: string, args: readonly string[], environment: NodeJS.ProcessEnv): Promise<number> {
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, { stdio: 'inherit', env: environment });
    // Control-C reaches the child itself; we wait for what it makes of it.
    const ignore = () => undefined;
    process.on('SIGINT', ignore);
    child.on('error', (cause) => reject(new LabError(`${file}: ${cause.message}`, { cause })));
    child.on('exit', (code, signal) => {
      process.off('SIGINT', ignore);
      resolve(code ?? 128 + (signal === 'SIGINT' ? 2 : 15));
    });
  });
}

/** How to start one of our processes: the bundle, or with SLUICE_SOURCE=1 its sources. */
export function processEntry(bundle: string, source: string): string {
  const root = installationRoot();
  const path = process.env.SLUICE_SOURCE ? join(root, source) : join(root, 'dist', bundle);
  if (!existsSync(path)) throw new LabError(`${path} is missing`, { hint: `run: sh ${join(root, 'tools/setup.sh')}` });
  return path;
}
