import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { type LabLayout, labLayout } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';

export interface CommandResult {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A lab of a test, under a name that tells whose it is; disposing of it takes it down. */
export interface TestLab extends AsyncDisposable {
  readonly name: string;
  readonly layout: LabLayout;
  /** `sluice lab COMMAND --name ... ARGUMENTS`. */
  run(command: string, ...args: readonly string[]): Promise<CommandResult>;
  /** The same with the installation at `root`. */
  runFrom(root: string, command: string, ...args: readonly string[]): Promise<CommandResult>;
  /** The same, and it must succeed; gives its output. */
  must(command: string, ...args: readonly string[]): Promise<string>;
  /** Starts a command and kills it, with everything that it waits for, after so many milliseconds. */
  interrupt(command: string, afterMs: number, ...args: readonly string[]): Promise<void>;
}

const sluice = join(installationRoot(), 'bin/sluice');
let count = 0;

export function testLab(): TestLab {
  const name = `test-${process.pid}-${count++}`;
  const run = (command: string, ...args: readonly string[]) => runSluice(['lab', command, '--name', name, ...args]);
  const runFrom = (root: string, command: string, ...args: readonly string[]) =>
    runSluice(['lab', command, '--name', name, ...args], { ...process.env, SLUICE_ROOT: root });
  const must = async (command: string, ...args: readonly string[]) => {
    const { status, stdout, stderr } = await run(command, ...args);
    if (status !== 0) throw new Error(`sluice lab ${command} ${args.join(' ')}: status ${status}\n${stdout}${stderr}`);
    return stdout;
  };
  const interrupt = (command: string, afterMs: number, ...args: readonly string[]) =>
    new Promise<void>((resolve) => {
      const child = spawn(sluice, ['lab', command, '--name', name, ...args], { detached: true, stdio: 'ignore' });
      child.on('exit', () => {
        clearTimeout(timer);
        resolve();
      });
      const timer = setTimeout(() => child.pid && process.kill(-child.pid, 'SIGKILL'), afterMs);
    });
  const dispose = async () => {
    const { status, stderr } = await run('down');
    if (status !== 0) throw new Error(`lab ${name} could not be taken down: ${stderr}`);
  };
  return { name, layout: labLayout(name), run, runFrom, must, interrupt, [Symbol.asyncDispose]: dispose };
}

function runSluice(args: readonly string[], env = process.env): Promise<CommandResult> {
  return new Promise((resolve) => {
    execFile(sluice, args, { env, maxBuffer: 16 << 20, timeout: 540_000 }, (error, stdout, stderr) => {
      const status = error ? (typeof error.code === 'number' ? error.code : 255) : 0;
      resolve({ status, stdout, stderr });
    });
  });
}
