import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface, type Interface } from 'node:readline';
import { installationRoot } from '@sluice/runtime';
import { temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';

/** What sluice-cni answered. */
export interface CniAnswer {
  readonly status: number | null;
  readonly body: Record<string, unknown>;
}

export interface CniOptions {
  readonly command: string;
  readonly containerId?: string;
  readonly ifname?: string;
  readonly netns?: string;
  readonly args?: string;
  readonly version?: string;
  /** Instead of our configuration. */
  readonly stdin?: string;
  /** How long the executable waits for the agent; default not at all. */
  readonly waitSeconds?: number;
  /** Added to the configuration. */
  readonly extra?: Record<string, unknown>;
}

/** A node in a network namespace of its own: a process with the agent's side, and the real executable to ask it. */
export interface TestNode extends AsyncDisposable {
  readonly folder: string;
  readonly netns: string;
  readonly pid: number;
  cni(options: CniOptions): CniAnswer;
  /** By a shell, to which the executable is `$0`. */
  cniThrough(script: string, options: CniOptions): { readonly status: number | null; readonly stderr: string };
  /** Started, not awaited: for what happens meanwhile. */
  cniLater(options: CniOptions): Promise<CniAnswer>;
  endpoints(): Promise<Record<string, unknown>[]>;
  /** The table's column, of the first endpoint. */
  status(): Promise<string>;
  /** As a crash would: no handler runs. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** A command on the node. */
  run(command: string, ...args: string[]): string;
}

const executable = join(installationRoot(), 'dist/bin/sluice-cni');

/** A reason to skip, or false. */
export const withoutExecutable: string | false =
  !existsSync(executable) && `${executable} is not built: npm run build makes it`;

export async function startNode(options: { prefixes?: string[] } = {}): Promise<TestNode> {
  const directory = temporaryDirectory();
  const namespace = temporaryNetworkNamespace();
  const prefixes = options.prefixes ?? ['10.244.7.0/24', 'fd00:10:244:7::/64'];
  let child: ChildProcess | undefined;
  let lines: Interface | undefined;

  async function nextLine(): Promise<string> {
    return new Promise((resolve, reject) => {
      lines?.once('line', resolve);
      child?.once('exit', (code) => reject(new Error(`the node's process ended with ${code}`)));
    });
  }

  async function start(): Promise<void> {
    const script = join(import.meta.dirname, 'node-process.ts');
    const nsenter = [`--net=${namespace.path}`, process.execPath, script, directory.path, ...prefixes];
    child = spawn('nsenter', nsenter, { stdio: ['pipe', 'pipe', 'inherit'] });
    if (child.stdout) lines = createInterface({ input: child.stdout });
    await nextLine();
  }

  async function kill(): Promise<void> {
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child?.kill('SIGKILL');
    await ended;
  }

  function invocation({ command, containerId, ifname = 'eth0', netns, args, version = '1.1.0', ...more }: CniOptions) {
    const configuration = {
      cniVersion: version,
      name: 'sluice',
      type: 'sluice-cni',
      agentSocket: `${directory.path}/cni.sock`,
      agentWaitSeconds: String(more.waitSeconds ?? 0),
    };
    return {
      input: more.stdin ?? JSON.stringify({ ...configuration, ...more.extra }),
      env: {
        CNI_COMMAND: command,
        ...(containerId !== undefined && { CNI_CONTAINERID: containerId }),
        CNI_IFNAME: ifname,
        ...(netns !== undefined && { CNI_NETNS: netns }),
        ...(args !== undefined && { CNI_ARGS: args }),
        CNI_PATH: '/opt/cni/bin',
      },
    };
  }

  const onNode = [`--net=${namespace.path}`, executable];

  function cni(options: CniOptions): CniAnswer {
    const { status, stdout } = spawnSync('nsenter', onNode, { ...invocation(options), encoding: 'utf8' });
    return { status, body: stdout === '' ? {} : JSON.parse(stdout) };
  }

  function cniThrough(script: string, options: CniOptions): { status: number | null; stderr: string } {
    const shell = [`--net=${namespace.path}`, 'sh', '-c', script, executable];
    const { env, ...given } = invocation(options);
    const { status, stderr } = spawnSync('nsenter', shell, {
      ...given,
      env: { ...env, PATH: process.env.PATH },
      encoding: 'utf8',
    });
    return { status, stderr };
  }

  async function cniLater(options: CniOptions): Promise<CniAnswer> {
    const { input, env } = invocation(options);
    const program = spawn('nsenter', onNode, { env, stdio: ['pipe', 'pipe', 'inherit'] });
    program.stdin.end(input);
    const exited = new Promise<number | null>((resolve) => program.once('exit', resolve));
    let text = '';
    for await (const chunk of program.stdout.setEncoding('utf8')) text += chunk;
    return { status: await exited, body: text === '' ? {} : JSON.parse(text) };
  }

  await start();
  return {
    folder: directory.path,
    netns: namespace.path,
    get pid() {
      return child?.pid ?? 0;
    },
    cni,
    cniThrough,
    cniLater,
    start,
    kill,
    async endpoints() {
      child?.stdin?.write('endpoints\n');
      return JSON.parse(await nextLine());
    },
    async status() {
      child?.stdin?.write('status\n');
      return JSON.parse(await nextLine());
    },
    run(command, ...args) {
      return spawnSync('nsenter', [`--net=${namespace.path}`, command, ...args], { encoding: 'utf8' }).stdout;
    },
    async [Symbol.asyncDispose]() {
      if (child?.exitCode === null && child.signalCode === null) await kill();
      namespace[Symbol.dispose]();
      directory[Symbol.dispose]();
    },
  };
}
