import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Pod, Store, WatchEvent } from '../apiserver/index.ts';
import { messageOf } from '../error.ts';
import type { LabLayout } from '../layout.ts';
import type { LabNode } from '../topology.ts';
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
  readonly dns: ClusterDns;
  readonly log: (message: string) => void;
}

/** The node's part of the lab's cluster: its Node object and lease, and the pods that are scheduled to it. */
export class Kubelet implements Disposable {
  readonly #workers = new Map<string, PodWorker>();
  readonly #options: KubeletOptions;
  readonly #around: PodSurroundings;
  readonly #reporter: NodeReporter;
  readonly #watch: Disposable;
  readonly #stop = new AbortController();

  constructor(options: KubeletOptions) {
    const { layout, node, cgroup, store, dns } = options;
    const folders = layout.node(node.name);
    this.#options = options;
    mkdirSync(folders.pods, { recursive: true });
    // The LAN has no name server of its own, so a node asks the cluster's.
    const nodeResolvConf = dns.servers.map((server) => `nameserver ${server}\n`).join('');
    writeFileSync(folders.resolvConf, nodeResolvConf);
    const cni = nodeCni(folders);
    const event = podEvents(store, node.name);
    this.#around = {
      nodeName: node.name,
      place: {
        pods: folders.pods,
        podsCgroup: join(cgroup, 'pods'),
        nodeNetns: folders.netns,
        nodeAddresses: [node.address4, node.address6],
        netns: layout.netns,
        cni,
      },
      prober: startProber({ netns: folders.netns, cgroup: join(cgroup, 'kubelet') }),
      dns,
      dnsDirectory: layout.dns,
      nodeResolvConf,
      writeStatus: (pod, compute) => this.#writeStatus(pod, compute),
      event,
      removed: (pod) => this.#removed(pod),
    };
    this.#reporter = new NodeReporter({
      ...{ node, store, cni, log: options.log },
      recovered: () => {
        for (const worker of this.#workers.values()) worker.reportStatus();
      },
    });
    this.#watch = store.watch('pods', (event) => this.#onPod(event));
    // After the watch's first pass: it has told which pods there are.
    void this.#collectLeftovers(this.#around.place);
  }

  /** Why the node's network plugin takes no pods; undefined when it does. */
  get problem(): string | undefined {
    return this.#reporter.problem;
  }

  worker(pod: Pod): PodWorker | undefined {
    return this.#workers.get(pod.metadata.uid);
  }

  /** The pods go on: their processes belong to the machine, and the next daemon finds them. */
  [Symbol.dispose](): void {
    this.#stop.abort();
    this.#watch[Symbol.dispose]();
    this.#reporter[Symbol.dispose]();
    this.#around.prober[Symbol.dispose]();
  }

  #onPod({ type, object: pod }: WatchEvent<Pod>): void {
    if (pod.spec.nodeName !== this.#options.node.name) return;
    const worker = this.#workers.get(pod.metadata.uid);
    if (type === 'DELETED') {
      if (worker && !worker.isRemoving) void worker.remove(0);
      return;
    }
    const graceMs = 1000 * (pod.metadata.deletionGracePeriodSeconds ?? pod.spec.terminationGracePeriodSeconds ?? 30);
    if (worker) {
      if (pod.metadata.deletionTimestamp) void worker.remove(graceMs);
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

const leftoverPauseMs = 100;

/** The machine's facts that a Node object shows. */
export function readOsName(): string {
  try {
    const text = readFileSync('/etc/os-release', 'utf8');
    return /^PRETTY_NAME="?([^"\n]*)/m.exec(text)?.[1] ?? 'Linux';
  } catch {
    return 'Linux';
  }
}
