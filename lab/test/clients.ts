import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { installationRoot } from '@sluice/runtime';
import type { TestLab } from './test-lab.ts';

/** A client in a pod that asks until it is ended. */
export interface Client {
  readonly what: string;
  /** Its output, the summary last. */
  end(): Promise<string>;
}

export interface ClientOptions {
  /** Between two requests; default 5. */
  readonly intervalMs?: number;
  /** Default 80. */
  readonly port?: number;
  /** Of each line when it comes: a failure, or the summary. */
  readonly onLine?: (line: string) => void;
}

const sluice = join(installationRoot(), 'bin/sluice');

export function startClient(
  lab: TestLab,
  podName: string,
  words: readonly [protocol: string, address: string, ...options: string[]],
  { intervalMs = 5, port = 80, onLine = () => undefined }: ClientOptions = {},
): Client {
  const [protocol, address, ...options] = words;
  const pace = ['--count', '0', '--interval', String(intervalMs), '--quiet'];
  return startCommand(lab, podName, ['client', protocol, address, String(port), ...pace, ...options], onLine);
}

/** A program that goes on until it is ended. */
export function startCommand(
  lab: TestLab,
  place: string,
  command: readonly string[],
  onLine: (line: string) => void = () => undefined,
): Client {
  const args = ['lab', 'exec', '--name', lab.name, place, '--', ...command];
  const child = spawn(sluice, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  const lines: string[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => {
    lines.push(line);
    onLine(line);
  });
  const closed = new Promise<void>((resolve) => child.stdout.once('close', resolve));
  return {
    what: `${place}: ${command.join(' ')}`,
    async end() {
      // The whole group: the command line, and the client in the pod.
      if (child.pid && child.exitCode === null && child.signalCode === null) process.kill(-child.pid, 'SIGINT');
      await closed;
      return lines.join('\n');
    },
  };
}
