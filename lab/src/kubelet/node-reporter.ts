import { arch, cpus, release, totalmem } from 'node:os';
import type { Condition, Node, Store } from '../apiserver/index.ts';
import { messageOf } from '../error.ts';
import { inOrder, type LabNode } from '../topology.ts';
import type { Cni } from './cni.ts';
import { readOsName } from './kubelet.ts';

const leaseSeconds = 40;
const leaseNamespace = 'kube-node-lease';
// Eager at first, since people wait for the lab; patient with an agent that stays away.
const reportMs = { notReadyFirst: 30, notReadyMost: 1_000, whenReady: 10_000, disconnected: 1_000 };
const podsMax = '110';
// An agent that is replaced is away for a second, and pods go on without it: their node must not be taken for broken.
const absenceMs = 30_000;

export interface NodeReporterOptions {
  readonly node: LabNode;
  readonly store: Store;
  readonly cni: Cni;
  /** The node has just been switched on: what it said before is not so any more. */
  readonly hasBooted: boolean;
  /** Why the API server cannot be reached from the node; undefined when it can. */
  readonly askApiServer: () => Promise<string | undefined>;
  /** Called again and again, with the same answers. */
  readonly connection: (problem: string | undefined) => void;
  /** The node is ready again: what others wrote into its pods' statuses meanwhile is to be corrected. */
  readonly recovered: () => void;
  readonly log: (message: string) => void;
}

/** Registers the node, renews its lease, and says whether its network takes pods: all that as long as its network lets it. */
export class NodeReporter implements Disposable {
  readonly #options: NodeReporterOptions;
  #timer: NodeJS.Timeout | undefined;
  #isStopped = false;
  #isReporting = false;
  #isDue = false;
  #waitMs = reportMs.notReadyFirst;
  #answeredAt = Number.NEGATIVE_INFINITY;
  #problem: string | undefined = 'the network plugin has not been asked yet';

  constructor(options: NodeReporterOptions) {
    this.#options = options;
    // The lab was up before: its agents start again together with us.
    if (!options.hasBooted && this.#storedReady()?.status === 'True') this.#answeredAt = performance.now();
    this.checkNow();
  }

  /** Why the network plugin took no pods when it was last asked; undefined when it did. */
  get problem(): string | undefined {
    return this.#problem;
  }

  /** Something may have changed: looks at once, not only when it is time. */
  checkNow(): void {
    this.#isDue = true;
    clearTimeout(this.#timer);
    if (!this.#isReporting) void this.#report();
  }

  /** Says for the last time how the node is: not ready. */
  shutDown(): void {
    this[Symbol.dispose]();
    this.#answeredAt = Number.NEGATIVE_INFINITY;
    this.#problem = 'node is shutting down';
    this.#writeStatus();
  }

  [Symbol.dispose](): void {
    this.#isStopped = true;
    clearTimeout(this.#timer);
  }

  /** What the Node object says: a short absence of the plugin does not count. */
  get #notReady(): string | undefined {
    return performance.now() - this.#answeredAt < absenceMs ? undefined : this.#problem;
  }

  #storedReady(): Condition | undefined {
    const { store, node } = this.#options;
    return store.get('nodes', node.name)?.status?.conditions?.find(({ type }) => type === 'Ready');
  }

  async #report(): Promise<void> {
    this.#isReporting = true;
    this.#isDue = false;
    const unreachable = await this.#options.askApiServer();
    const waitMs = await this.#reportWhen(unreachable);
    this.#isReporting = false;
    if (this.#isStopped) return;
    this.#timer = setTimeout(() => void this.#report(), this.#isDue ? 0 : waitMs);
  }

  /** Gives when to report again. */
  async #reportWhen(unreachable: string | undefined): Promise<number> {
    if (this.#isStopped) return 0;
    this.#options.connection(unreachable);
    if (unreachable !== undefined) return reportMs.disconnected;
    // The plugin answers when its agent runs, which waits for this node's addresses: so its addresses come first.
    this.#attempt(() => this.#register());
    this.#problem = await this.#options.cni.status().then(
      () => undefined,
      (error: unknown) => messageOf(error),
    );
    const answers = this.#problem === undefined;
    if (answers) this.#answeredAt = performance.now();
    if (this.#isStopped) return 0;
    this.#attempt(() => {
      this.#writeStatus();
      this.#renewLease();
    });
    const waitMs = answers ? reportMs.whenReady : this.#waitMs;
    this.#waitMs = answers ? reportMs.notReadyFirst : Math.min(1.2 * this.#waitMs, reportMs.notReadyMost);
    return waitMs;
  }

  #attempt(write: () => void): void {
    try {
      write();
    } catch (error) {
      this.#options.log(`report node ${this.#options.node.name}: ${messageOf(error)}`);
    }
  }

  #register(): void {
    const { store, node } = this.#options;
    const labels = {
      'kubernetes.io/hostname': node.name,
      'node-role.kubernetes.io/control-plane': '',
      'kubernetes.io/os': 'linux',
      'kubernetes.io/arch': arch() === 'x64' ? 'amd64' : arch(),
      'topology.kubernetes.io/region': 'lab',
      'topology.kubernetes.io/zone': node.zone,
    };
    const changed = store.modify('nodes', { name: node.name }, (draft) => {
      draft.metadata.labels = { ...draft.metadata.labels, ...labels };
    });
    if (changed) return;
    store.create('nodes', { apiVersion: 'v1', kind: 'Node', metadata: { name: node.name, labels }, spec: {} });
    this.#writeStatus();
  }

  #writeStatus(): void {
    const { store, node, recovered } = this.#options;
    const before = this.#storedReady();
    store.modify('nodes', { name: node.name }, (draft) => this.#fill(draft), { subresource: 'status' });
    if (!this.#notReady && before && before.status !== 'True') recovered();
  }

  #fill(draft: Node): void {
    const { node } = this.#options;
    const status = draft.status ?? {};
    const resources = { cpu: String(cpus().length), memory: `${Math.floor(totalmem() / 1024)}Ki`, pods: podsMax };
    const ready: Condition = this.#notReady
      ? { type: 'Ready', status: 'False', reason: 'KubeletNotReady', message: this.#notReady }
      : { type: 'Ready', status: 'True', reason: 'KubeletReady', message: 'the network plugin takes pods' };
    draft.status = {
      ...status,
      addresses: [
        ...inOrder(node.addresses).map((address) => ({ type: 'InternalIP', address })),
        { type: 'Hostname', address: node.name },
      ],
      capacity: resources,
      allocatable: resources,
      conditions: [withTimes(ready, status.conditions)],
      nodeInfo: {
        ...noMachineIds,
        architecture: arch() === 'x64' ? 'amd64' : arch(),
        containerRuntimeVersion: 'sluice-lab://1',
        kernelVersion: release(),
        kubeletVersion: 'v1.35.0-sluice-lab',
        kubeProxyVersion: '',
        operatingSystem: 'linux',
        osImage: readOsName(),
      },
    };
  }

  #renewLease(): void {
    const { store, node } = this.#options;
    const renewTime = new Date().toISOString().replace('Z', '000Z');
    const renewed = store.modify(
      'leases.coordination.k8s.io',
      { name: node.name, namespace: leaseNamespace },
      (draft) => {
        draft.spec.renewTime = renewTime;
      },
    );
    if (renewed) return;
    store.create('leases.coordination.k8s.io', {
      apiVersion: 'coordination.k8s.io/v1',
      kind: 'Lease',
      metadata: { name: node.name, namespace: leaseNamespace },
      spec: { holderIdentity: node.name, leaseDurationSeconds: leaseSeconds, renewTime },
    });
  }
}

const noMachineIds = { machineID: '', systemUUID: '', bootID: '' };

function withTimes(condition: Condition, previous: readonly Condition[] = []): Condition {
  const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
  const before = previous.find(({ type }) => type === condition.type);
  // A heartbeat in every write would make a new version of the object each time; the lease is the heartbeat.
  const isSame = before?.status === condition.status && before.message === condition.message;
  return {
    ...condition,
    lastHeartbeatTime: (isSame && before.lastHeartbeatTime) || now,
    lastTransitionTime: (before?.status === condition.status && before.lastTransitionTime) || now,
  };
}
