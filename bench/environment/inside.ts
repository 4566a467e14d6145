import { type ChildProcess, execFile, spawn, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { installationRoot } from '@sluice/runtime';
import { interrupted } from '../interruption.ts';

/** Where a program runs. */
export interface Place {
  readonly netns: string;
  /** Absent: in our own, where no hook of Sluice is. */
  readonly cgroup?: string;
}

const labRun = join(installationRoot(), 'dist/bin/lab-run');
const outputBytesMax = 64 << 20;
const timeoutMs = 300_000;

function wordsFor({ netns, cgroup }: Place, command: readonly string[]): string[] {
  const group = cgroup === undefined ? [] : ['--cgroup', cgroup];
  return ['exec', '--die-with-parent', ...group, '--net', netns, '--', ...command];
}

/** Runs a program to its end; fails with what it said where it fails. Gives its output. */
export function runInside(place: Place, command: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = {
      maxBuffer: outputBytesMax,
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
      signal: interrupted,
    } as const;
    execFile(labRun, wordsFor(place, command), options, (error, stdout, stderr) => {
      if (!error) resolve(stdout);
      else reject(new Error(`${command.slice(0, 6).join(' ')}: ${stderr.trim() || error.message}`, { cause: error }));
    });
  });
}

/** The same with text on its standard input, and nothing else happens meanwhile. */
export function runInsideSync({ netns }: Place, command: readonly string[], input: string): string {
  const words = wordsFor({ netns }, command);
  const { status, stdout, stderr, error } = spawnSync(labRun, words, {
    input,
    encoding: 'utf8',
    maxBuffer: outputBytesMax,
  });
  if (status === 0) return stdout;
  throw new Error(`${command.join(' ')}: ${stderr?.trim() || (error?.message ?? `status ${status}`)}`);
}

/** `ip` with a line for each command. */
export function ip(netns: string, ...lines: readonly string[]): void {
  runInsideSync({ netns }, ['ip', '-batch', '-'], `${lines.join('\n')}\n`);
}

/** A program that stays until it is disposed of. */
export interface Standing extends AsyncDisposable {
  readonly child: ChildProcess;
  /** Ended by itself. */
  readonly hasEnded: () => boolean;
}

export interface StandingOptions {
  readonly environment?: Readonly<Record<string, string>>;
  /** Of each line on its standard output. */
  readonly onLine?: (line: string) => void;
}

/** Starts a program and waits for the first line of its output, unless nobody wants lines. */
export async function startInside(
  place: Place,
  command: readonly string[],
  { environment, onLine }: StandingOptions = {},
): Promise<Standing> {
  const child = spawn(labRun, wordsFor(place, command), {
    stdio: ['ignore', onLine ? 'pipe' : 'ignore', 'inherit'],
    env: { ...process.env, ...environment },
  });
  const hasEnded = () => child.exitCode !== null || child.signalCode !== null;
  const ended = new Promise<void>((resolve) => child.once('exit', () => resolve()));
  const standing: Standing = {
    child,
    hasEnded,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
  if (!child.stdout || !onLine) return standing;
  const lines = createInterface({ input: child.stdout });
  const first = new Promise<void>((resolve) => lines.once('line', () => resolve()));
  lines.on('line', onLine);
  await Promise.race([first, ended]);
  if (hasEnded()) throw new Error(`${command.join(' ')}: ended with ${child.exitCode ?? child.signalCode}`);
  return standing;
}
