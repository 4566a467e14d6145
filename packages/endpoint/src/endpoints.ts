import {
  type Addition,
  type AddRequest,
  type Attachment,
  type AttachmentKey,
  type Check,
  type CheckRequest,
  CniCode,
  CniError,
  type CniHandler,
  type CniResult,
  type DelRequest,
  type GcRequest,
  type PodFacts,
  type Removal,
} from '@sluice/cni';
import { type AddressPair, type NodeAddresses, PoolExhaustedError } from '@sluice/ipam';
import { reservedIdentities } from '@sluice/model';
import type { Address, Mac } from '@sluice/net';
import { type Clock, type Logger, systemClock } from '@sluice/runtime';
import { type Controllers, type RowStatus, sameValue } from '@sluice/state';
import { comparePod, comparePrevious, resultOf } from './check.ts';
import type { PodDevices } from './device.ts';
import { watchPodDevices } from './device-watch.ts';
import {
  type Endpoint,
  type EndpointTable,
  endpointKey,
  endpointTable,
  hostNameOf,
  macOf,
  podName,
} from './endpoint.ts';
import { GarbageSearch } from './garbage.ts';
import { KernelSide } from './kernel-side.ts';
import type { EndpointMaps, PodIdentities, PodPrograms } from './ports.ts';
import { type AnyReconciler, endpointReconcilers } from './reconcilers.ts';
import { type RestoreReport, restoreEndpoints } from './restore.ts';
import { EndpointStore } from './store.ts';

export interface EndpointsOptions {
  /** For the state files. */
  readonly stateFolder: string;
  readonly addresses: NodeAddresses;
  readonly maps: EndpointMaps;
  readonly programs: PodPrograms;
  readonly devices: PodDevices;
  /** What pods see behind their gateway's address. */
  readonly nodeMac: Mac;
  /** Of the pods' devices, and what of it fits through the tunnel. Asked at each ADD: a LAN device's may change. */
  readonly mtu: () => { readonly device: number; readonly route: number };
  readonly identities: PodIdentities;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly controllers?: Controllers;
  /** Between two comparisons of the maps with the table; default 5 minutes. */
  readonly fullIntervalMs?: number;
}

/** The endpoints of this node, as a container runtime, the API and a person see them. */
export interface Endpoints extends CniHandler {
  readonly table: EndpointTable;
  readonly restored: RestoreReport;
  readonly reconcilers: readonly AnyReconciler[];
  statusOf(key: string): RowStatus | undefined;
  /** Labels of a pod, or those of a namespace and with them of all its pods, were learned or have changed. */
  labelsChanged(namespace: string, name?: string): void;
  /** Numbers came, went or changed. */
  identitiesChanged(): void;
  /** Writes the files again that somebody removed: without them the next agent would take these pods for gone. */
  keepFiles(): void;
  /** Removes endpoints whose device is gone and devices without an endpoint; only what was so the last time, too. */
  collectGarbage(): void;
  stop(): Promise<void>;
}

/** Restores what is on disk, attaches this version's programs to it, and keeps maps and links right from then on. */
export function startEndpoints(options: EndpointsOptions): Endpoints {
  return new LocalEndpoints(options);
}

const notReady = 'the node has no pod CIDR yet: the API server has not answered, or the operator gives none';

function outsideMessage(addresses: readonly Address[]): string {
  const which = addresses.length === 1 ? 'is' : 'are';
  return `${addresses.join(' and ')} ${which} not of a pod CIDR that this node has now, and not reached: delete the pod, its next one gets another address`;
}

/** A removal takes some 40 ms; a runtime waits longer for us than that. */
const removalWaitMs = 1_000;

class LocalEndpoints implements Endpoints {
  readonly table: EndpointTable;
  readonly restored: RestoreReport;
  readonly reconcilers: readonly AnyReconciler[];
  readonly #options: EndpointsOptions;
  readonly #clock: Clock;
  readonly #store: EndpointStore;
  readonly #devices: PodDevices;
  /** Attachments being made or removed, from the request to its result, with their devices. */
  readonly #inProgress = new Map<string, string>();
  /** Those being removed, with what tells of the end. */
  readonly #removals = new Map<string, PromiseWithResolvers<void>>();
  readonly #statuses = new Map<string, RowStatus>();
  readonly #kernel: KernelSide;
  readonly #garbage: GarbageSearch;
  readonly #watch: Disposable;
  #lastId = 0;

  constructor(options: EndpointsOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#store = new EndpointStore(options.stateFolder);
    this.#devices = options.devices;
    this.table = endpointTable((key) => this.statusOf(key));
    this.restored = restoreEndpoints({ ...options, store: this.#store, devices: this.#devices });
    for (const endpoint of this.restored.endpoints) {
      this.table.upsert(this.#withIdentity(endpoint));
      this.#lastId = Math.max(this.#lastId, endpoint.id);
    }
    this.#kernel = new KernelSide({ ...options, table: this.table, devices: this.#devices });
    this.#garbage = new GarbageSearch({
      table: this.table,
      devices: this.#devices,
      inProgress: () => this.#inProgress.values(),
    });
    for (const endpoint of this.table.list()) this.#kernel.writeMaps(endpoint);
    this.table.markInitialized('restore');
    this.reconcilers = endpointReconcilers({
      ...options,
      table: this.table,
      devices: this.#devices,
      clock: this.#clock,
      controllers: options.controllers,
      inProgress: () => this.#inProgress.values(),
      onLinkStatus: (key, status) => this.#statuses.set(key, status),
    });
    for (const each of this.reconcilers) each.start();
    this.table.subscribe(() => {
      for (const each of this.reconcilers) each.trigger();
    });
    const onTrouble = () => {
      for (const each of this.reconcilers) each.triggerFull();
    };
    this.#watch = watchPodDevices({ devices: this.#devices, table: this.table, onTrouble });
  }

  async stop(): Promise<void> {
    this.#watch[Symbol.dispose]();
    for (const each of this.reconcilers) await each.stop();
  }

  statusOf(key: string): RowStatus | undefined {
    const status = this.#statuses.get(key);
    const endpoint = status?.state === 'done' ? this.table.get(key) : undefined;
    const outside = endpoint ? this.#options.addresses.outside(endpoint) : [];
    return status && outside.length > 0 ? { ...status, state: 'error', error: outsideMessage(outside) } : status;
  }

  /** DEL has its answer before the pair is gone: an ADD that comes next is not told to come again. */
  add(request: AddRequest): Addition | Check | Promise<Addition | Check> {
    const removal = this.#removals.get(endpointKey(request));
    return removal === undefined ? this.#add(request) : this.#addAfter(removal, request);
  }

  async #addAfter(removal: PromiseWithResolvers<void>, request: AddRequest): Promise<Addition | Check> {
    using _limit = this.#clock.setTimeout(removal.resolve, removalWaitMs);
    await removal.promise;
    return this.#add(request);
  }

  #add(request: AddRequest): Addition | Check {
    const key = endpointKey(request);
    const existing = this.table.get(key);
    if (existing) return this.#addAgain(existing, request);
    if (this.#inProgress.has(key)) {
      throw new CniError(CniCode.TryAgain, `${key} is being added or removed by another request`);
    }
    // Of an ADD that died between two steps.
    this.#kernel.removeDevice(hostNameOf(request));
    const addresses = this.#allocate(key);
    this.#inProgress.set(key, hostNameOf(request));
    const attachment = this.#attachment(request, addresses);
    return {
      kind: 'new',
      attachment,
      complete: (facts) => {
        try {
          return this.#complete(request, attachment, facts, addresses);
        } finally {
          this.#inProgress.delete(key);
        }
      },
      abandon: (reason) => {
        this.#inProgress.delete(key);
        this.#options.addresses.withdraw(addresses);
        this.#kernel.removeDevice(attachment.hostName);
        this.#options.log.warn({ attachment: key, reason }, 'ADD was given up');
      },
    };
  }

  check(request: CheckRequest): Check {
    const endpoint = this.table.get(endpointKey(request));
    if (!endpoint) {
      throw new CniError(CniCode.UnknownContainer, `there is no endpoint ${endpointKey(request)} on this node`);
    }
    comparePrevious(endpoint, request.previousResult);
    this.#kernel.check(endpoint);
    return this.#lookInside(endpoint);
  }

  remove(request: DelRequest): Removal {
    const key = endpointKey(request);
    // A salvaged endpoint does not know its container.
    const endpoint = this.table.get(key) ?? this.table.by('device', hostNameOf(request))[0];
    const hostName = hostNameOf(request);
    if (this.#inProgress.has(key)) return { hostName: undefined, complete: () => undefined };
    this.#inProgress.set(key, hostName);
    if (endpoint) this.#withdraw(endpoint);
    const removal = Promise.withResolvers<void>();
    this.#removals.set(key, removal);
    return {
      hostName,
      complete: () => {
        this.#inProgress.delete(key);
        this.#removals.delete(key);
        removal.resolve();
        if (endpoint) this.#discard(endpoint);
        else this.#kernel.removeDevice(hostName);
      },
    };
  }

  status(): void {
    const { addresses } = this.#options;
    // Not for a full pool: the README of the package cni says why.
    if (!addresses.ready) throw new CniError(CniCode.NotAvailable, notReady);
  }

  keepFiles(): void {
    const kept: string[] = [];
    for (const endpoint of this.table.list()) if (this.#store.keep(endpoint)) kept.push(podName(endpoint));
    if (kept.length > 0) this.#options.log.warn({ pods: kept }, 'state files were gone, written again');
  }

  collectGarbage(): void {
    const { lost, leaked } = this.#garbage.next();
    for (const endpoint of lost) {
      const names = { attachment: endpointKey(endpoint), pod: podName(endpoint) };
      this.#options.log.warn(names, 'its device is gone, removed');
      this.#remove(endpoint);
    }
    for (const device of leaked) {
      this.#options.log.warn({ device }, 'belongs to no endpoint, removed');
      this.#kernel.removeDevice(device);
    }
  }

  collect(request: GcRequest): void {
    const valid = new Set(request.validAttachments.map(endpointKey));
    const errors: string[] = [];
    for (const endpoint of this.table.list().filter((row) => !valid.has(endpointKey(row)))) {
      try {
        this.#remove(endpoint);
        this.#options.log.info({ attachment: endpointKey(endpoint), pod: podName(endpoint) }, 'collected as garbage');
      } catch (error) {
        errors.push(`${endpointKey(endpoint)}: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
    if (errors.length > 0) throw new CniError(CniCode.Io, `could not collect ${errors.join('; ')}`);
  }

  labelsChanged(namespace: string, name?: string): void {
    const rows =
      name === undefined
        ? this.table.list().filter(({ pod }) => pod?.namespace === namespace)
        : this.table.by('pod', `${namespace}/${name}`);
    for (const endpoint of rows) this.#renew(endpoint, this.#withIdentity(endpoint));
  }

  identitiesChanged(): void {
    for (const endpoint of this.table.list()) this.#renew(endpoint, this.#withNumber(endpoint));
  }

  #renew(endpoint: Endpoint, renewed: Endpoint): void {
    if (sameValue(renewed, endpoint)) return;
    this.#saveIdentity(renewed);
    this.table.upsert(renewed);
    if (renewed.identity === endpoint.identity) return;
    const { identity: before } = endpoint;
    this.#options.log.info({ pod: podName(renewed), before, identity: renewed.identity }, 'another identity');
  }

  // The next start learns the identity from the labels, too; what the API tells must not stop at a full disk.
  #saveIdentity(endpoint: Endpoint): void {
    try {
      this.#store.save(endpoint);
    } catch (error) {
      const names = { attachment: endpointKey(endpoint), pod: podName(endpoint) };
      this.#options.log.error({ ...names, error }, 'cannot keep the identity of an endpoint: make room on the disk');
    }
  }

  #addAgain(existing: Endpoint, request: AddRequest): Check {
    if (existing.netns !== request.netns) {
      throw new CniError(
        CniCode.InterfaceExists,
        `${endpointKey(existing)} exists already, in the network namespace ${existing.netns}: DEL comes first`,
      );
    }
    this.#kernel.check(existing);
    return this.#lookInside(existing);
  }

  #lookInside(endpoint: Endpoint): Check {
    return {
      kind: 'check',
      podName: endpoint.ifname,
      verify: (pod) => {
        comparePod(endpoint, pod);
        return resultOf(endpoint);
      },
    };
  }

  #allocate(key: string): AddressPair {
    const { addresses } = this.#options;
    if (!addresses.ready) throw new CniError(CniCode.TryAgain, notReady);
    try {
      return addresses.allocate(key);
    } catch (error) {
      if (error instanceof PoolExhaustedError) throw new CniError(CniCode.TryAgain, error.message, { cause: error });
      throw error;
    }
  }

  #attachment(key: AttachmentKey, { ipv4, ipv6 }: AddressPair): Attachment {
    const { addresses, mtu } = this.#options;
    const { device, route } = mtu();
    const gatewayIpv4 = addresses.ipv4?.router;
    const gatewayIpv6 = addresses.ipv6?.router;
    return {
      hostName: hostNameOf(key),
      hostMac: macOf(key, 'host'),
      podName: key.ifname,
      podMac: macOf(key, 'pod'),
      mtu: device,
      routeMtu: route,
      ...(ipv4 && gatewayIpv4 && { ipv4: { address: ipv4, gateway: gatewayIpv4 } }),
      ...(ipv6 && gatewayIpv6 && { ipv6: { address: ipv6, gateway: gatewayIpv6 } }),
    };
  }

  /** Disk first, then the kernel: whatever a killed agent had begun, the next one finds by the file. */
  #complete(request: AddRequest, attachment: Attachment, facts: PodFacts, addresses: AddressPair): CniResult {
    const endpoint = this.#withIdentity({
      id: this.#lastId + 1,
      containerId: request.containerId,
      ifname: request.ifname,
      netns: request.netns,
      ...facts,
      hostName: attachment.hostName,
      hostMac: attachment.hostMac,
      podMac: attachment.podMac,
      mtu: attachment.mtu,
      routeMtu: attachment.routeMtu,
      ipv4: addresses.ipv4,
      ipv6: addresses.ipv6,
      gatewayIpv4: attachment.ipv4?.gateway,
      gatewayIpv6: attachment.ipv6?.gateway,
      pod: request.pod,
      hostPorts: request.portMappings,
      labels: undefined,
      identity: reservedIdentities.init,
      identityPendingSince: request.pod && this.#clock.now(),
      createdAt: this.#clock.now(),
    });
    this.#lastId = endpoint.id;
    try {
      this.#kernel.requireDevice(endpoint);
      this.#store.save(endpoint);
      this.#kernel.writeMaps(endpoint);
      this.#kernel.connect(endpoint);
    } catch (error) {
      this.#remove(endpoint);
      throw error;
    }
    this.table.upsert(endpoint);
    return resultOf(endpoint);
  }

  /** The kernel first, the file last: a removal that is cut short is found again. */
  #remove(endpoint: Endpoint): void {
    this.#withdraw(endpoint);
    this.#discard(endpoint);
  }

  #withdraw(endpoint: Endpoint): void {
    this.table.delete(endpointKey(endpoint));
    this.#statuses.delete(endpointKey(endpoint));
    this.#kernel.withdraw(endpoint);
  }

  #discard(endpoint: Endpoint): void {
    this.#kernel.removeDevice(endpoint.hostName);
    this.#options.addresses.release(endpoint);
    if (this.#store.remove(endpoint)) return;
    const names = { attachment: endpointKey(endpoint), pod: podName(endpoint) };
    this.#options.log.error(names, 'cannot remove the file of an endpoint that is gone: is the disk read-only?');
  }

  /** What is known stays known while the API server is away. */
  #withIdentity(endpoint: Endpoint): Endpoint {
    const { pod } = endpoint;
    const labels = pod && this.#options.identities.labelsOf(pod.namespace, pod.name);
    if (!labels || sameValue(labels, endpoint.labels)) return this.#withNumber(endpoint);
    const identityPendingSince = endpoint.identityPendingSince ?? this.#clock.now();
    return this.#withNumber({ ...endpoint, labels, identityPendingSince });
  }

  /** Until new labels have their number, the one of the old ones stands: no traffic waits for the operator. */
  #withNumber(endpoint: Endpoint): Endpoint {
    if (endpoint.labels === undefined) return endpoint;
    const identity = this.#options.identities.identityOf(endpoint.labels);
    return identity === undefined ? endpoint : { ...endpoint, identity, identityPendingSince: undefined };
  }
}
