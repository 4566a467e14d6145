import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod, Store, WatchEvent } from '../apiserver/index.ts';
import { messageOf } from '../error.ts';
import type { LabLayout } from '../layout.ts';
import { inOrder, type LabNode } from '../topology.ts';
import { nodeCni } from './cni.ts';
import { podEvents } from './events.ts';
import { NodeReporter } from './node-reporter.ts';
import { type PodSurroundings, PodWorker } from './pod-worker.ts';
import { startProber } from './prober.ts';
import type { ClusterDns } from './resolv-conf.ts';
import { readSandbox, removeSandbox, type SandboxPlace } from './sandbox.ts';

export interface KubeletOptions {
  readonly layout: LabLayout;
  readonly node: LabNode;
  readonly cgroup: string;
  readonly store: Store;
  /** Where the node reaches the API server. */
  readonly apiServer: { readonly address: string; readonly port: number };
  readonly dns: ClusterDns;
  readonly hasBooted: boolean;
  readonly log: (message: string) => void;
}

/**
 * The node's part of the lab's cluster: its Node object and lease, and the pods that are scheduled to it. It is in one process with
 * the API server, but speaks to it only while the node's network reaches it.
 */
export class Kubelet implements Disposable {
  readonly #workers = new Map<string, PodWorker>();
  readonly #options: KubeletOptions;
  readonly #around: PodSurroundings;
  readonly #reporter: NodeReporter;
  /** There while the API server is reached. */
  #watch: Disposable | undefined;
  #unreachable: string | undefined = 'it has not been asked yet';
  readonly #stop = new AbortController();
  #collecting: Promise<void> | undefined;

  constructor(options: KubeletOptions) {
    const { layout, node, cgroup, store, apiServer, dns, hasBooted, log } = options;
    const folders = layout.node(node.name);
    const ownCgroup = join(cgroup, 'kubelet');
    this.#options = options;
    mkdirSync(folders.pods, { recursive: true });
    // The LAN has no name server of its own, so a node asks the cluster's.
    const nodeResolvConf = dns.servers.map((server) => `nameserver ${server}\n`).join('');
    writeFileSync(folders.resolvConf, nodeResolvConf);
    const cni = nodeCni(folders, ownCgroup);
    const event = podEvents(store, node.name);
    const prober = startProber({ netns: folders.netns, cgroup: ownCgroup });
    this.#around = {
      nodeName: node.name,
      place: {
        pods: folders.pods,
        podsCgroup: join(cgroup, 'pods'),
        nodeNetns: folders.netns,
        nodeAddresses: inOrder(node.addresses),
        netns: layout.netns,
        cni,
      },
      prober,
      dns,
      dnsDirectory: layout.dns,
      nodeResolvConf,
      writeStatus: (pod, compute) => this.#watch && this.#writeStatus(pod, compute),
      event: (pod, ...what) => this.#watch && event(pod, ...what),
      removed: (pod) => this.#removed(pod),
    };
    const apiServerTarget = { protocol: 'tcp', path: '/', timeoutMs: apiServerTimeoutMs, ...apiServer } as const;
    this.#reporter = new NodeReporter({
      ...{ node, store, cni, hasBooted, log },
      askApiServer: () => prober.probe(apiServerTarget),
      connection: (problem) => this.#setConnection(problem),
      recovered: () => this.#reportAll(),
    });
  }

  /** Why the node's network plugin takes no pods; undefined when it does. */
  get problem(): string | undefined {
    return this.#reporter.problem;
  }

  /** Why the node does not reach the API server; undefined when it does. */
  get unreachable(): string | undefined {
    return this.#unreachable;
  }

  worker(pod: Pod): PodWorker | undefined {
    return this.#workers.get(pod.metadata.uid);
  }

  /** The node's network may have changed. */
  checkNow(): void {
    this.#reporter.checkNow();
  }

  /** The pods go on: their processes belong to the machine, and the next daemon finds them. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#disconnect();
    this.#reporter[Symbol.dispose]();
    this.#around.prober[Symbol.dispose]();
  }

  /** Tells the API server that the node goes down, and ends its pods, whose objects stay. */
  async shutDown(): Promise<void> {
    if (this.#watch) this.#reporter.shutDown();
    this[Symbol.dispose]();
    await Promise.all(
      [...this.#workers.values()].map((worker) => worker.shutDown(Math.min(graceMsOf(worker.pod), shutDownMsMost))),
    );
  }

  /** The node's power goes: says and does nothing more. Fulfilled when nothing is under way, once its processes are killed. */
  async abandon(): Promise<void> {
    this[Symbol.dispose]();
    await Promise.all([...this.#workers.values()].map((worker) => worker.abandon()));
  }

  #setConnection(problem: string | undefined): void {
    const { node, log } = this.#options;
    if ((problem === undefined) !== (this.#watch !== undefined))
      log(`node ${node.name} ${problem === undefined ? 'reaches the API server' : `lost the API server: ${problem}`}`);
    this.#unreachable = problem;
    if (problem !== undefined) this.#disconnect();
    else if (!this.#watch) this.#connect();
  }

  /** What happened while it was away is found in the list: also which pods are no more. */
  #connect(): void {
    const listed = new Set<string>();
    const before = [...this.#workers];
    this.#watch = this.#options.store.watch('pods', (event) => {
      listed.add(event.object.metadata.uid);
      this.#onPod(event);
    });
    for (const [uid, worker] of before) if (!listed.has(uid) && !worker.isRemoving) void worker.remove(0);
    this.#reportAll();
    // After the watch's first pass: it has told which pods there are.
    this.#collecting ??= this.#collectLeftovers(this.#around.place);
  }

  #disconnect(): void {
    this.#watch?.[Symbol.dispose]();
    this.#watch = undefined;
  }

  #reportAll(): void {
    for (const worker of this.#workers.values()) worker.reportStatus();
  }

  #onPod({ type, object: pod }: WatchEvent<Pod>): void {
    if (pod.spec.nodeName !== this.#options.node.name) return;
    const worker = this.#workers.get(pod.metadata.uid);
    if (type === 'DELETED') {
      if (worker && !worker.isRemoving) void worker.remove(0);
      return;
    }
    if (worker) {
      if (pod.metadata.deletionTimestamp) void worker.remove(graceMsOf(pod));
      return;
    }
    const hasEnded = pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed';
    if (hasEnded && !pod.metadata.deletionTimestamp) return;
    const started = new PodWorker(pod, this.#around);
    this.#workers.set(pod.metadata.uid, started);
    if (pod.metadata.deletionTimestamp) void started.remove(0);
  }

  #removed(pod: Pod): void {
    this.#workers.delete(pod.metadata.uid);
    // Its object goes when the API server is back: then it is there to be removed, and nobody works on it.
    if (!this.#watch) return;
    const { name, namespace, uid } = pod.metadata;
    try {
      const current = this.#options.store.get('pods', name, namespace);
      if (current?.metadata.uid === uid) {
        this.#options.store.delete('pods', { name, namespace }, { gracePeriodSeconds: 0, uid });
      }
    } catch (error) {
      this.#options.log(`remove the object of pod ${namespace}/${name}: ${messageOf(error)}`);
    }
  }

  #writeStatus(pod: Pod, compute: Parameters<PodSurroundings['writeStatus']>[1]): void {
    const { name, namespace, uid } = pod.metadata;
    try {
      this.#options.store.modify(
        'pods',
        { name, namespace },
        (draft) => {
          if (draft.metadata.uid === uid) draft.status = compute(draft.status ?? {});
        },
        { subresource: 'status' },
      );
    } catch (error) {
      this.#options.log(`write the status of pod ${namespace}/${name}: ${messageOf(error)}`);
    }
  }

  /** Takes away what earlier daemons left of pods that are no more, and lets the network plugin do the same. */
  async #collectLeftovers(place: SandboxPlace): Promise<void> {
    const leftovers = new Set(readdirSync(place.pods).filter((uid) => !this.#workers.has(uid)));
    while (leftovers.size > 0 || this.#reporter.problem) {
      if (this.#stop.signal.aborted) return;
      if (!this.#reporter.problem) await this.#removeLeftovers(place, leftovers);
      await delay(leftoverPauseMs, undefined, { ref: false });
    }
    const known = readdirSync(place.pods).map((uid) => readSandbox(place, uid)?.id);
    try {
      await place.cni.collectGarbage(known.filter((id) => id !== undefined));
    } catch (error) {
      this.#options.log(messageOf(error));
    }
  }

  /** Those that cannot be removed now stay for the next time. */
  async #removeLeftovers(place: SandboxPlace, leftovers: Set<string>): Promise<void> {
    for (const uid of leftovers) {
      try {
        await removeSandbox(place, uid);
        leftovers.delete(uid);
      } catch (error) {
        this.#options.log(`take away what is left of pod ${uid}: ${messageOf(error)}`);
      }
    }
  }
}

function graceMsOf({ metadata, spec }: Pod): number {
  return 1000 * (metadata.deletionGracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30);
}

const leftoverPauseMs = 100;
// As much as a real node has where its shutdown is graceful.
const shutDownMsMost = 30_000;
const apiServerTimeoutMs = 3_000;

/** The machine's facts that a Node object shows. */
export function readOsName(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
