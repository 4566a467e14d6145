import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod, PodStatus } from '../apiserver/index.ts';
import { LabError, messageOf } from '../error.ts';
import { ContainerRunner } from './container.ts';
import { type ContainerProcess, startContainer } from './container-process.ts';
import { containerCommand, containerEnvironment } from './image.ts';
import { podStatus } from './pod-status.ts';
import type { Prober } from './prober.ts';
import { watchReadiness } from './readiness.ts';
import { type ClusterDns, podHosts, podResolvConf } from './resolv-conf.ts';
import { makeSandbox, removeSandbox, type Sandbox, type SandboxPlace, wholeSandbox } from './sandbox.ts';

/** What pods of one node share. */
export interface PodSurroundings {
  readonly nodeName: string;
  readonly place: SandboxPlace;
  readonly prober: Prober;
  readonly dns: ClusterDns;
  /** The zone file's folder, where name servers work. */
  readonly dnsDirectory: string;
  readonly nodeResolvConf: string;
  writeStatus(pod: Pod, compute: (previous: PodStatus) => PodStatus): void;
  event(pod: Pod, type: 'Normal' | 'Warning', reason: string, message: string): void;
  /** The pod has ended and nothing of it is left: its object may go. */
  removed(pod: Pod): void;
}

const retryMs = { first: 100, most: 5_000 };

/** One pod from its sandbox to its removal. */
export class PodWorker {
  readonly #pod: Pod;
  readonly #around: PodSurroundings;
  readonly #stop = new AbortController();
  readonly #abandoned = new AbortController();
  readonly #startTime: string;
  #sandbox: Sandbox | undefined;
  #containers: ContainerRunner[] = [];
  #removal: Promise<void> | undefined;
  /** The node goes down, or has. */
  #isStopping = false;
  #isStatusDue = false;
  readonly #running: Promise<void>;

  constructor(pod: Pod, around: PodSurroundings) {
    this.#pod = pod;
    this.#around = around;
    this.#startTime = pod.status?.startTime ?? new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    // In a turn of its own: a pod that is only there to be removed is told so first.
    this.#running = Promise.resolve().then(() => this.#run());
  }

  get pod(): Pod {
    return this.#pod;
  }

  get sandbox(): Sandbox | undefined {
    return this.#sandbox;
  }

  get isRemoving(): boolean {
    return this.#removal !== undefined;
  }

  container(name: string): ContainerRunner {
    const found = name === '' ? this.#containers[0] : this.#containers.find(({ spec }) => spec.name === name);
    if (!found) throw new LabError(`container ${name || '(first)'} of pod ${this.#pod.metadata.name} is not there yet`);
    return found;
  }

  environment(container: ContainerRunner): Record<string, string> {
    const { nodeName, place } = this.#around;
    const podAddresses = this.#sandbox?.addresses ?? [];
    return containerEnvironment(this.#pod, container.spec, {
      nodeName,
      hostAddresses: place.nodeAddresses,
      podAddresses,
    });
  }

  /** Ends the pod's processes, at the latest after the grace, and takes everything of it away. Once only. */
  remove(graceMs: number): Promise<void> {
    this.#removal ??= this.#remove(graceMs).then(() => {
      if (!this.#abandoned.signal.aborted) this.#around.removed(this.#pod);
    });
    return this.#removal;
  }

  /** The same, but its object stays: the node is switched off, and makes the pod again when it comes back. */
  shutDown(graceMs: number): Promise<void> {
    this.#isStopping = true;
    this.#removal ??= this.#remove(graceMs);
    return this.#removal;
  }

  /** Nothing of it is looked after any more: its node has lost its power. Fulfilled when nothing is under way. */
  async abandon(): Promise<void> {
    this.#isStopping = true;
    this.#abandoned.abort();
    this.#stop.abort();
    await Promise.allSettled([this.#running, this.#removal]);
  }

  async #run(): Promise<void> {
    const sandbox = await this.#sandboxWithRetries();
    if (!sandbox) return;
    this.#sandbox = sandbox;
    if (this.#stop.signal.aborted) return;
    const { dns, nodeName, nodeResolvConf, prober } = this.#around;
    const hostname = sandbox.isHostNetwork ? nodeName : (this.#pod.spec.hostname ?? this.#pod.metadata.name);
    writeFileSync(join(sandbox.directory, 'resolv.conf'), podResolvConf(this.#pod, dns, nodeResolvConf));
    writeFileSync(join(sandbox.directory, 'hosts'), podHosts(this.#pod, sandbox.addresses, dns.domain));
    const { signal } = this.#stop;
    // Until the last container has ended: one that drains is asked on.
    const watching = new AbortController();
    this.#containers = this.#pod.spec.containers.map((spec) => this.#runner(spec, sandbox, hostname));
    const readiness = this.#containers.map((container) =>
      watchReadiness(container, {
        prober,
        address: sandbox.addresses[0] ?? '',
        signal: watching.signal,
        unhealthy: (message) => this.#event('Warning', 'Unhealthy', message),
      }),
    );
    await Promise.all(this.#containers.map((container) => container.run(signal)));
    watching.abort();
    await Promise.all(readiness);
  }

  async #sandboxWithRetries(): Promise<Sandbox | undefined> {
    const { signal } = this.#stop;
    const whole = wholeSandbox(this.#around.place, this.#pod.metadata.uid);
    if (whole) return whole;
    // A pod that has lost its sandbox must not be taken for ready until it has another.
    this.reportStatus();
    let reported: string | undefined;
    for (let waitMs = retryMs.first; !signal.aborted; waitMs = Math.min(2 * waitMs, retryMs.most)) {
      try {
        return await makeSandbox(this.#around.place, this.#pod);
      } catch (error) {
        const message = `Failed to create pod sandbox: ${messageOf(error)}`;
        if (message !== reported) this.#event('Warning', 'FailedCreatePodSandBox', message);
        reported = message;
      }
      await delay(waitMs, undefined, { signal }).catch(() => undefined);
    }
    return undefined;
  }

  #runner(spec: Pod['spec']['containers'][number], sandbox: Sandbox, hostname: string): ContainerRunner {
    const { dnsDirectory } = this.#around;
    const start = (logFile: string): ContainerProcess | { problem: string } => {
      const environment = this.environment(runner);
      const command = containerCommand(spec, environment);
      if ('problem' in command) return command;
      return startContainer({ sandbox, command, environment, hostname, logFile, workingDirectory: dnsDirectory });
    };
    const runner = new ContainerRunner({
      spec,
      sandbox,
      previous: this.#pod.status?.containerStatuses?.find(({ name }) => name === spec.name),
      restartPolicy: this.#pod.spec.restartPolicy ?? 'Always',
      hooks: {
        start,
        changed: () => this.reportStatus(),
        event: (type, reason, message) => this.#event(type, reason, message),
      },
    });
    return runner;
  }

  async #remove(graceMs: number): Promise<void> {
    this.#stop.abort();
    this.reportStatus();
    await Promise.all(this.#containers.map((container) => container.stop(graceMs)));
    await this.#running;
    const { signal } = this.#abandoned;
    for (let waitMs = retryMs.first; !signal.aborted; waitMs = Math.min(2 * waitMs, retryMs.most)) {
      try {
        return await removeSandbox(this.#around.place, this.#pod.metadata.uid);
      } catch (error) {
        this.#event('Warning', 'FailedKillPod', `Failed to remove pod sandbox: ${messageOf(error)}`);
        await delay(waitMs, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  /** Writes what is observed; several changes of one turn are one write. */
  reportStatus(): void {
    if (this.#isStatusDue) return;
    this.#isStatusDue = true;
    queueMicrotask(() => {
      this.#isStatusDue = false;
      this.#around.writeStatus(this.#pod, (previous) =>
        podStatus(previous, {
          hostAddresses: this.#around.place.nodeAddresses,
          podAddresses: this.#sandbox?.addresses ?? [],
          containers: this.#containers.map((container) => container.status),
          finalExitCodes: this.#containers.map((container) => container.finalExitCode),
          startTime: this.#startTime,
          isStopping: this.#isStopping,
        }),
      );
    });
  }

  #event(type: 'Normal' | 'Warning', reason: string, message: string): void {
    this.#around.event(this.#pod, type, reason, message);
  }
}
