import { spawn } from 'node:child_process';
import { closeSync, openSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { ExecOptions, ExecResult, LogOptions, Pod, PodHooks } from '../apiserver/index.ts';
import { LabError } from '../error.ts';
import { labRun } from '../host/program.ts';
import type { PodWorker } from '../kubelet/pod-worker.ts';
import type { Machine } from './machine.ts';

const chunkBytes = 64 << 10;
const followMs = 100;

/** `kubectl logs` and `kubectl exec`, answered by the kubelet of the pod's node. */
export function podHooks(machineNamed: (name: string) => Machine | undefined): PodHooks {
  const workerOf = (pod: Pod): PodWorker => {
    const { nodeName = '' } = pod.spec;
    const machine = machineNamed(nodeName);
    if (machine && !machine.isOn) throw new LabError(`node ${nodeName} is off`);
    const unreachable = machine?.kubelet?.unreachable;
    if (unreachable !== undefined) throw new LabError(`node ${nodeName} cannot be reached: ${unreachable}`);
    const worker = machine?.kubelet?.worker(pod);
    if (!worker) throw new LabError(`pod ${pod.metadata.namespace}/${pod.metadata.name} runs on no node`);
    return worker;
  };
  return {
    podLogs: (pod, options) => readLog(workerOf(pod), options),
    podExec: (pod, options) => execInPod(workerOf(pod), options),
  };
}

async function* readLog(worker: PodWorker, options: LogOptions): AsyncIterable<Uint8Array> {
  if (options.timestamps || options.sinceSeconds !== undefined) {
    throw new LabError("logs of the lab's pods carry no times: leave out --timestamps and --since");
  }
  const container = worker.container(options.container);
  const path = container.logFile(options.previous);
  const fd = openSync(path, 'r');
  try {
    let position = 0;
    const readOn = () => {
      const buffer = new Uint8Array(chunkBytes);
      const length = readSync(fd, buffer, 0, chunkBytes, position);
      position += length;
      return buffer.subarray(0, length);
    };
    if (options.tailLines !== undefined) position = startOfTail(fd, options.tailLines);
    for (;;) {
      const chunk = readOn();
      if (chunk.length > 0) yield chunk;
      else if (!options.follow || options.signal.aborted || container.logFile() !== path) return;
      else await delay(followMs, undefined, { signal: options.signal }).catch(() => undefined);
    }
  } finally {
    closeSync(fd);
  }
}

/** Where the last lines of a file begin. */
function startOfTail(fd: number, lines: number): number {
  const buffer = new Uint8Array(chunkBytes);
  let position = 0;
  const ends: number[] = [];
  for (;;) {
    const length = readSync(fd, buffer, 0, chunkBytes, position);
    if (length === 0) break;
    for (let at = buffer.indexOf(10); at >= 0 && at < length; at = buffer.indexOf(10, at + 1))
      ends.push(position + at + 1);
    position += length;
  }
  // An unfinished last line is a line, too.
  const isUnfinished = ends.at(-1) !== position;
  const from = ends.length - lines - (isUnfinished ? 0 : 1);
  return from < 0 ? 0 : (ends[from] ?? 0);
}

function execInPod(worker: PodWorker, options: ExecOptions): Promise<ExecResult> {
  const container = worker.container(options.container);
  const { sandbox } = worker;
  const pid = container.processId;
  if (pid === undefined || !sandbox) throw new LabError(`container ${container.spec.name} is not running`);
  const where = ['exec', '--cgroup', sandbox.cgroup, '--beside', String(pid), '--'];
  const env = worker.environment(container);
  const child = spawn(labRun, [...where, ...options.command], { stdio: ['pipe', 'pipe', 'pipe'], env });
  if (options.stdin) options.stdin.pipe(child.stdin);
  else child.stdin.end();
  child.stdin.on('error', () => undefined);
  child.stdout.pipe(options.stdout, { end: false });
  child.stderr.pipe(options.stderr, { end: false });
  options.signal.addEventListener('abort', () => child.kill('SIGKILL'), { once: true });
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? 137 }));
  });
}
