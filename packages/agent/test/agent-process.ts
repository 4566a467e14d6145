import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';
import { parseAddress } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { installationRoot } from '@sluice/runtime';
import { temporaryBpffs, temporaryCgroup, temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';

/** A node of its own namespace, cgroup and bpffs with a real agent; no API server answers it. */
export interface AgentNode extends AsyncDisposable {
  readonly stateDir: string;
  readonly runDir: string;
  readonly cniConfig: string;
  readonly bpffs: string;
  readonly cgroup: string;
  readonly netns: string;
  /** Of the process, while one runs. */
  readonly pid: number | undefined;
  /** Starts the agent and waits until it is ready. Helm values as YAML; default: every option's default. */
  start(values?: string): Promise<void>;
  kill(signal?: 'SIGKILL' | 'SIGTERM'): Promise<void>;
  /** Starts another one beside it; its exit status and what it said. */
  startAnother(): { status: number | null; stderr: string };
  get(path: string): Promise<unknown>;
  /** The same of an answer with a value a line. */
  rows(path: string): Promise<unknown[]>;
  /** Asks a TCP port of the node over HTTP; undefined: nobody answers. */
  ask(url: string, accept?: string): { contentType: string; body: string } | undefined;
  /** `pod`: what a kubelet says of it. */
  cni(
    command: string,
    containerId: string,
    netns: string,
    pod?: Readonly<Record<string, string>>,
  ): { status: number | null; body: Record<string, unknown> };
  residentMib(): number;
}

const root = installationRoot();
const main = join(root, 'packages/agent/src/main.ts');

export const ownNode = {
  name: 'k8s-cp1',
  addresses: ['10.10.30.101', 'fd00:10:10:30::101'],
  podCidrs: ['10.244.0.0/24', 'fd00:10:244::/64'],
};

/** `starter`: what is run with the agent's arguments; default: Node with the sources. */
export function agentNode(starter: readonly string[] = [process.execPath, main]): AgentNode {
  const stack = new DisposableStack();
  const directory = stack.use(temporaryDirectory());
  const namespace = stack.use(temporaryNetworkNamespace());
  const bpffs = stack.use(temporaryBpffs());
  const cgroup = stack.use(temporaryCgroup());
  const [stateDir, runDir] = [join(directory.path, 'state'), join(directory.path, 'run')];
  const kubeconfig = join(directory.path, 'kubeconfig');
  let child: ChildProcess | undefined;
  mkdirSync(stateDir);
  writeFileSync(join(stateDir, 'node.json'), JSON.stringify(ownNode));
  writeFileSync(kubeconfig, unreachableKubeconfig);
  namespace.run(addLan);
  const paths = ['--state-dir', stateDir, '--run-dir', runDir, '--bpffs', bpffs.path, '--cgroup-root', cgroup.path];
  const cniConfig = join(directory.path, 'net.d/05-sluice.conflist');
  const names = ['--node-name', ownNode.name, '--kubeconfig', kubeconfig, '--cni-config', cniConfig];
  const installed = ['--daemon-set', 'kube-system/sluice'];
  const args = [...names, ...paths, ...installed, '--log-level', 'error'];
  const command = [`--net=${namespace.path}`, ...starter, ...args];

  async function start(values = ''): Promise<void> {
    const config = join(directory.path, 'values.yaml');
    writeFileSync(config, values);
    const started = spawn('nsenter', [...command, '--config', config], { stdio: ['ignore', 'ignore', 'inherit'] });
    child = started;
    await untilReady(join(runDir, 'sluice.sock'), started);
  }

  async function kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child?.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  return {
    stateDir,
    runDir,
    cniConfig,
    bpffs: bpffs.path,
    cgroup: cgroup.path,
    netns: namespace.path,
    get pid() {
      return child?.pid;
    },
    start,
    kill,
    startAnother: () => spawnSync('nsenter', command, { encoding: 'utf8' }),
    get: async (path) => JSON.parse(await textOf(join(runDir, 'sluice.sock'), path)),
    rows: async (path) => {
      const text = await textOf(join(runDir, 'sluice.sock'), path);
      return text.split('\n').flatMap((line): unknown[] => (line === '' ? [] : [JSON.parse(line)]));
    },
    ask(url, accept = '*/*') {
      const code = `const answer = await fetch(process.argv[1], { headers: { accept: process.argv[2] } });
        console.log(JSON.stringify({ contentType: answer.headers.get('content-type'), body: await answer.text() }));`;
      const asking = [`--net=${namespace.path}`, process.execPath, '--input-type=module', '-e', code, url, accept];
      const { status, stdout } = spawnSync('nsenter', asking, { encoding: 'utf8' });
      return status === 0 ? JSON.parse(stdout) : undefined;
    },
    cni(cniCommand, containerId, netns, pod = {}) {
      const configuration = {
        cniVersion: '1.1.0',
        name: 'sluice',
        type: 'sluice-cni',
        agentSocket: join(runDir, 'cni.sock'),
      };
      const { status, stdout } = spawnSync('nsenter', [`--net=${namespace.path}`, join(root, 'dist/bin/sluice-cni')], {
        input: JSON.stringify(configuration),
        env: {
          CNI_COMMAND: cniCommand,
          CNI_CONTAINERID: containerId,
          CNI_IFNAME: 'eth0',
          CNI_NETNS: netns,
          CNI_PATH: '/',
          CNI_ARGS: Object.entries(pod)
            .map((pair) => pair.join('='))
            .join(';'),
        },
        encoding: 'utf8',
      });
      return { status, body: stdout === '' ? {} : JSON.parse(stdout) };
    },
    residentMib() {
      const status = readFileSync(`/proc/${child?.pid}/status`, 'utf8');
      return Number(/VmRSS:\s+(\d+)/.exec(status)?.[1]) / 1024;
    },
    async [Symbol.asyncDispose]() {
      await kill();
      stack.dispose();
    },
  };
}

/** A device that faces a network where nobody answers. */
function addLan(): void {
  using netlink = openNetlink();
  const eno1 = netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'lan' } });
  for (const link of [eno1, netlink.links.get('lan')]) if (link) netlink.links.set({ ifindex: link.ifindex, up: true });
  netlink.addresses.add({ ifindex: eno1.ifindex, address: parseAddress('10.10.30.101'), length: 24 });
  netlink.addresses.add({
    ifindex: eno1.ifindex,
    address: parseAddress('fd00:10:10:30::101'),
    length: 64,
    noDad: true,
  });
}

const unreachableKubeconfig = `apiVersion: v1
kind: Config
current-context: lab
clusters: [{ name: lab, cluster: { server: 'https://127.0.0.1:6443', insecure-skip-tls-verify: true } }]
users: [{ name: lab, user: { token: none } }]
contexts: [{ name: lab, context: { cluster: lab, user: lab } }]
`;

async function untilReady(socketPath: string, child: ChildProcess): Promise<void> {
  while (child.exitCode === null && child.signalCode === null) {
    const health = await textOf(socketPath, '/healthz').catch(() => '');
    if (health.includes('"ready":true')) return;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  throw new Error(`the agent ended: ${child.exitCode ?? child.signalCode}`);
}

function textOf(socketPath: string, path: string): Promise<string> {
  return new Promise((resolve, reject) => {
    // No connection is kept: while a test blocks, the agent may close it.
    const asked = request({ socketPath, path, agent: false }, (response) => {
      let text = '';
      response.setEncoding('utf8');
      response.on('data', (chunk: string) => {
        text += chunk;
      });
      response.on('end', () => resolve(text));
    });
    asked.once('error', reject);
    asked.end();
  });
}
