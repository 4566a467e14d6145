import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Container, ContainerPort, IntOrString, Probe } from '../apiserver/index.ts';
import { labPod, labRun } from '../host/program.ts';

/** Asks pods whether they are ready, from the node's own network as a real kubelet does. */
export interface Prober extends Disposable {
  /** The reason why it is not ready, or undefined when it is. */
  probe(target: ProbeTarget): Promise<string | undefined>;
}

export interface ProbeTarget {
  readonly protocol: 'tcp' | 'http';
  readonly address: string;
  readonly port: number;
  readonly path: string;
  readonly timeoutMs: number;
}

/** What a container's probe asks, or why it cannot be asked. */
export function probeTarget(container: Container, probe: Probe, podAddress: string): ProbeTarget | { problem: string } {
  const how = probe.httpGet ?? probe.tcpSocket;
  if (!how) return { problem: "the lab's kubelet knows the probes httpGet and tcpSocket" };
  if (probe.httpGet?.scheme === 'HTTPS') return { problem: "the lab's kubelet does not probe by HTTPS" };
  const port = portNumber(how.port, container.ports ?? []);
  if (port === undefined) return { problem: `no port is named ${how.port}` };
  return {
    protocol: probe.httpGet ? 'http' : 'tcp',
    address: how.host ?? podAddress,
    port,
    path: probe.httpGet?.path ?? '/',
    timeoutMs: (probe.timeoutSeconds ?? 1) * 1000,
  };
}

function portNumber(port: IntOrString, ports: readonly ContainerPort[]): number | undefined {
  return typeof port === 'number' ? port : ports.find(({ name }) => name === port)?.containerPort;
}

/** One helper process a node, started when it is first needed and again when it has ended. */
export function startProber(place: { netns: string; cgroup: string }): Prober {
  const waiting = new Map<string, (reason: string | undefined) => void>();
  let child: ChildProcess | undefined;
  let nextId = 1;
  let isClosed = false;
  const start = () => {
    const args = ['exec', '--die-with-parent', '--cgroup', place.cgroup, '--net', place.netns, '--', labPod, 'probe'];
    const started = spawn(labRun, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    started.on('error', () => undefined); // 'close' follows, or nothing was started and the probe times out
    started.stdin.on('error', () => undefined);
    started.on('close', () => {
      if (child === started) child = undefined;
      for (const answer of waiting.values()) answer('the prober has ended');
      waiting.clear();
    });
    createInterface({ input: started.stdout }).on('line', (line) => {
      const [id = '', result, ...reason] = line.split(' ');
      waiting.get(id)?.(result === 'ok' ? undefined : reason.join(' '));
      waiting.delete(id);
    });
    return started;
  };
  const probe = ({ protocol, address, port, path, timeoutMs }: ProbeTarget) =>
    new Promise<string | undefined>((resolve) => {
      if (isClosed) return resolve('the prober has ended');
      child ??= start();
      const id = String(nextId++);
      waiting.set(id, resolve);
      child.stdin?.write(`${id} ${protocol} ${address} ${port} ${timeoutMs} ${path}\n`);
    });
  const close = () => {
    isClosed = true;
    child?.kill('SIGKILL');
  };
  return { probe, [Symbol.dispose]: close };
}
