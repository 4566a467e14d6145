import { writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { type MapUsage, recommendedEnvironment, recommendedNodeFlags } from '@sluice/agent';
import { installationRoot } from '@sluice/runtime';
import { type Standing, startInside } from './inside.ts';

/** The agent of a node; it ends with the node. */
export interface BenchAgent extends AsyncDisposable {
  readonly kubeconfig: string;
  pid(): number;
  /** By itself, which is never right. */
  hasEnded(): boolean;
  /** Starts it, of this build or of the one of another installation, and waits until it is ready. */
  start(root?: string): Promise<void>;
  kill(): Promise<void>;
  /** Starts it and kills it so long after, ready or not. */
  startAndKill(afterMs: number, root?: string): Promise<void>;
  get<Answer>(path: string): Promise<Answer>;
  /** Waits until map `frontends` has at least so many rows. */
  untilFrontends(count: number, timeoutMs: number): Promise<void>;
}

export interface BenchAgentOptions {
  readonly name: string;
  readonly netns: string;
  readonly cgroup: string;
  readonly bpffs: string;
  readonly folder: string;
  readonly stateDirectory: string;
  readonly runDirectory: string;
  readonly server: string;
  /** Helm values besides those that every node has. */
  readonly values?: object;
}

const values = { kubeProxyReplacement: true, devices: 'eno+', ipv6: { enabled: true } };
const readyTimeoutMs = 60_000;

export function benchAgent(options: BenchAgentOptions): BenchAgent {
  const { folder, netns, runDirectory } = options;
  const [kubeconfig, config] = [join(folder, 'kubeconfig'), join(folder, 'values.yaml')];
  writeFileSync(kubeconfig, JSON.stringify(kubeconfigFor(options.server)));
  writeFileSync(config, JSON.stringify({ ...values, ...options.values }));
  const commandIn = (root: string) => [
    ...[process.execPath, ...recommendedNodeFlags, join(root, 'dist/agent.js')],
    ...['--node-name', options.name, '--kubeconfig', kubeconfig, '--config', config, '--log-level', 'error'],
    ...['--state-dir', options.stateDirectory, '--run-dir', runDirectory],
    ...['--bpffs', options.bpffs, '--cgroup-root', options.cgroup],
  ];
  let running: Standing | undefined;
  const get = <Answer>(path: string) => askAgent<Answer>(join(runDirectory, 'sluice.sock'), path);

  async function until(what: string, timeoutMs: number, holds: () => Promise<boolean>): Promise<void> {
    for (const end = performance.now() + timeoutMs; ; await delay(10)) {
      if (running?.hasEnded()) throw new Error(`the agent of ${options.name} has ended; wanted: ${what}`);
      if (await holds().catch(() => false)) return;
      if (performance.now() > end) throw new Error(`the agent of ${options.name}: ${what}: not after ${timeoutMs} ms`);
    }
  }

  async function kill(): Promise<void> {
    await running?.[Symbol.asyncDispose]();
    running = undefined;
  }

  const begin = async (root = installationRoot()) => {
    running = await startInside({ netns }, commandIn(root), { environment: recommendedEnvironment });
  };

  return {
    kubeconfig,
    pid: () => running?.child.pid ?? 0,
    hasEnded: () => running?.hasEnded() ?? false,
    async start(root) {
      await begin(root);
      await until('ready', readyTimeoutMs, async () => (await get<{ ready: boolean }>('/healthz')).ready);
    },
    async startAndKill(afterMs, root) {
      await begin(root);
      await delay(afterMs);
      await kill();
    },
    kill,
    get,
    untilFrontends: (count, timeoutMs) =>
      until(`${count} rows of frontends`, timeoutMs, async () => {
        const maps = await get<MapUsage[]>('/maps');
        return (maps.find(({ name }) => name === 'frontends')?.entries ?? 0) >= count;
      }),
    [Symbol.asyncDispose]: kill,
  };
}

function kubeconfigFor(server: string): object {
  return {
    ...{ apiVersion: 'v1', kind: 'Config', 'current-context': 'bench' },
    contexts: [{ name: 'bench', context: { cluster: 'bench', user: 'bench' } }],
    users: [{ name: 'bench', user: { token: 'bench' } }],
    clusters: [{ name: 'bench', cluster: { server } }],
  };
}

function askAgent<Answer>(socketPath: string, path: string): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => {
        if (response.statusCode === 200) resolve(JSON.parse(text));
        else reject(new Error(`${path}: ${response.statusCode}`));
      });
    });
    asked.once('error', reject);
    asked.end();
  });
}
