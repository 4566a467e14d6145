/** The cluster that up.sh brings up, for programs: commands in it, and waiting for what it becomes. */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export const root = join(import.meta.dirname, '..');
export const recipe = import.meta.dirname;
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'sluice-kubernetes');
/** What a running cluster consists of; goes with down.sh. */
export const runFolder = join(process.env.KUBERNETES_CACHE ?? cache, 'run');
export const nodeNames = ['n1', 'n2', 'n3'] as const;
/** Where a machine has its part of cgroup v2 (parts/machine-init.sh). */
export const cgroupRoot = '/var/cgroup2';

export interface Result {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly timeoutMs?: number;
  /** Its lines go to our own output as they come. */
  readonly isShown?: boolean;
}

/** Runs a program to its end, whatever that is. */
export function run(file: string, args: readonly string[], options: RunOptions = {}): Promise<Result> {
  const { input, environment, timeoutMs = 600_000, isShown = false } = options;
  return new Promise((resolve, reject) => {
    const child = spawn(file, args, {
      cwd: root,
      env: { ...process.env, ...environment },
      stdio: [input === undefined ? 'ignore' : 'pipe', isShown ? 'inherit' : 'pipe', isShown ? 'inherit' : 'pipe'],
      timeout: timeoutMs,
    });
    let [stdout, stderr] = ['', ''];
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      stdout += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    child.stdin?.end(input);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (signal) stderr += `\nended by ${signal} (allowed: ${timeoutMs / 1000} s)`;
      resolve({ status: code ?? 255, stdout, stderr });
    });
  });
}

/** The same, and it must succeed; gives its output. */
export async function must(file: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { status, stdout, stderr } = await run(file, args, options);
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`);
  return stdout;
}

export const kubectl = (...args: readonly string[]) => must(join(recipe, 'kubectl'), args);
export const kubectlRun = (...args: readonly string[]) => run(join(recipe, 'kubectl'), args);
export const apply = (manifest: string) => must(join(recipe, 'kubectl'), ['apply', '-f', '-'], { input: manifest });
/** A command on a machine: cp, n1, n2, n3. */
export const on = (machine: string, ...command: readonly string[]) => must(join(recipe, 'on'), [machine, ...command]);
export const onRun = (machine: string, ...command: readonly string[]) => run(join(recipe, 'on'), [machine, ...command]);
/** The words before a command that is to run here, on this file system, with the control plane's network. */
export const onNetworkOfControlPlane = (): readonly string[] => [
  'nsenter',
  `--net=/proc/${readFileSync(join(runFolder, 'cp/init.pid'), 'utf8').trim()}/ns/net`,
];
/** `sluice ARGUMENTS` where no agent runs: only the API server is to be reached. */
export function fromOutside(...args: readonly string[]): readonly [string, readonly string[]] {
  const [program = '', ...words] = onNetworkOfControlPlane();
  const kubeconfig = join(runFolder, 'pki/admin.kubeconfig');
  return [program, [...words, process.execPath, join(root, 'dist/sluice.js'), ...args, '--kubeconfig', kubeconfig]];
}

export const start = (machine: string, component: string) => must(join(recipe, 'start.sh'), [machine, component]);
export const stop = (machine: string, component: string, signal = 'TERM') =>
  must(join(recipe, 'stop.sh'), [machine, component, signal]);

/** `sluice ARGUMENTS` on a node, where it asks that node's agent. */
export const sluice = (node: string, ...args: readonly string[]) =>
  on(node, process.execPath, join(root, 'dist/sluice.js'), ...args);

export async function kubectlJson<Value>(...args: readonly string[]): Promise<Value> {
  return JSON.parse(await kubectl(...args, '-o', 'json')) as Value;
}

export async function sluiceJson<Value>(node: string, ...args: readonly string[]): Promise<Value> {
  return JSON.parse(await sluice(node, ...args, '-o', 'json')) as Value;
}

/** Looks again and again until `look` does not throw; the last failure is why it gives up. */
export async function eventually<Value>(seconds: number, look: () => Promise<Value>): Promise<Value> {
  const end = performance.now() + seconds * 1000;
  for (;;) {
    try {
      return await look();
    } catch (error) {
      if (performance.now() >= end) throw error;
      await delay(300);
    }
  }
}
