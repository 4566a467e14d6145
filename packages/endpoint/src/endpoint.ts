import { createHash } from 'node:crypto';
import type { AttachmentKey, PodReference, PortMapping } from '@sluice/cni';
import { ownLabels } from '@sluice/identity';
import { type IdentityId, identityName } from '@sluice/model';
import { type Address, type Mac, macFromBytes } from '@sluice/net';
import { type RowStatus, Table } from '@sluice/state';

/** A local pod's interface, from the answer to ADD until DEL. */
export interface Endpoint extends AttachmentKey {
  /** Unique on the node, above 0, in the order of creation. */
  readonly id: number;
  /** Path of the pod's network namespace as the runtime named it; it may be gone. */
  readonly netns: string;
  readonly netnsCookie: bigint;
  readonly netnsInode: bigint;
  /** The node's side of the pair. */
  readonly hostName: string;
  readonly hostIfindex: number;
  readonly hostMac: Mac;
  readonly podIfindex: number;
  readonly podMac: Mac;
  readonly mtu: number;
  readonly routeMtu: number;
  readonly ipv4: Address | undefined;
  readonly ipv6: Address | undefined;
  readonly gatewayIpv4: Address | undefined;
  readonly gatewayIpv6: Address | undefined;
  readonly pod: PodReference | undefined;
  /** Ports of the node that lead here: frontends of the load balancer's. */
  readonly hostPorts: readonly PortMapping[];
  /** `k8s:app=web`; undefined: not known yet. */
  readonly labels: readonly string[] | undefined;
  /** That of the labels, or, while that is not known, the one it had before; `init` (5) at first. */
  readonly identity: IdentityId;
  /** Milliseconds since the epoch: from then on the labels, or their number, were not known. */
  readonly identityPendingSince: number | undefined;
  /** Milliseconds since the epoch. */
  readonly createdAt: number;
}

export type EndpointTable = Table<Endpoint>;

export function endpointKey({ containerId, ifname }: AttachmentKey): string {
  return `${containerId}/${ifname}`;
}

export function podName(endpoint: Pick<Endpoint, 'pod' | 'containerId'>): string {
  return endpoint.pod ? `${endpoint.pod.namespace}/${endpoint.pod.name}` : `(${endpoint.containerId.slice(0, 22)})`;
}

export function endpointTable(statusOf: (key: string) => RowStatus | undefined): EndpointTable {
  return new Table<Endpoint>({
    name: 'endpoints',
    key: endpointKey,
    sources: ['restore'],
    indexes: {
      pod: (row) => (row.pod ? [podName(row)] : []),
      device: (row) => [row.hostName],
      address: (row) => [row.ipv4, row.ipv6].filter((address) => address !== undefined),
    },
    columns: {
      Id: (row) => String(row.id),
      Pod: podName,
      IPv4: (row) => row.ipv4 ?? '-',
      IPv6: (row) => row.ipv6 ?? '-',
      Identity: (row) => `${identityName(row.identity)}${row.identityPendingSince ? ' (pending)' : ''}`,
      Labels: (row) => ownLabels(row.labels ?? []).join(','),
      Device: (row) => row.hostName,
      Container: (row) => row.containerId.slice(0, 12),
      Status: (row) => formatStatus(statusOf(endpointKey(row))),
    },
  });
}

function formatStatus(status: RowStatus | undefined): string {
  if (!status) return 'pending';
  return status.state === 'error' ? `error: ${status.error}` : status.state;
}

const hostNamePattern = /^slc[0-9a-f]{10}$/;

/** Deterministic, so that a left-over of a killed agent is found again; 40 bits make a clash on a node unthinkable. */
export function hostNameOf(key: AttachmentKey): string {
  return `slc${digest(key, 'name').toString('hex').slice(0, 10)}`;
}

export function isHostName(name: string): boolean {
  return hostNamePattern.test(name);
}

/** The same for the same attachment, so that neighbours' caches stay right when ADD is repeated. */
export function macOf(key: AttachmentKey, side: 'host' | 'pod'): Mac {
  const bytes = Uint8Array.from(digest(key, side).subarray(0, 6));
  // Unicast, locally administered (IEEE 802 section 8.4).
  bytes[0] = ((bytes[0] ?? 0) & 0xfc) | 0x02;
  return macFromBytes(bytes);
}

function digest(key: AttachmentKey, purpose: 'name' | 'host' | 'pod'): Buffer {
  const text = purpose === 'name' ? key.containerId + key.ifname : `${endpointKey(key)} ${purpose}`;
  return createHash('sha256').update(text).digest();
}
