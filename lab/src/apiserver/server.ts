import { writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { parsePrefix } from '@sluice/net';
import { Cluster } from './cluster.ts';
import { requestHandler } from './http/handler.ts';
import { type Front, listen } from './http/listen.ts';
import { Journal } from './journal.ts';
import type { Pod } from './kinds/types.ts';
import type { Store } from './store.ts';
import { keptAuthority, kubeconfigText } from './tls/credentials.ts';

export interface ApiServerOptions {
  /** Certificates, the kubeconfig and the journal of objects live here; a server started again on it finds its objects. */
  directory: string;
  listeners: readonly Listener[];
  /** Address that kubeconfig and `kubectl cluster-info` show. Default: the first listener's. */
  publicUrl?: string;
  /** Further addresses and names that the server's certificate is valid for. Default: the homelab's. */
  names?: { dns: readonly string[]; addresses: readonly string[] };
  /** Of each family that the cluster has. Default: the homelab's, of both. */
  serviceRanges?: { ipv4?: string; ipv6?: string };
  hooks?: PodHooks;
  log?: (message: string) => void;
  /** Changes kept of each resource; watches from before get 410. */
  historyMax?: number;
}

/** A listening socket that somebody opened (in a network namespace), or an address of ours; port 0 takes a free one. */
export type Listener = { fd: number } | { host: string; port: number };

/** What the server asks the kubelet of the pod's node. */
export interface PodHooks {
  podLogs?(pod: Pod, options: LogOptions): AsyncIterable<Uint8Array | string>;
  podExec?(pod: Pod, options: ExecOptions): Promise<ExecResult>;
}

export interface LogOptions {
  container: string;
  follow: boolean;
  tailLines: number | undefined;
  sinceSeconds: number | undefined;
  previous: boolean;
  timestamps: boolean;
  signal: AbortSignal;
}

export interface ExecOptions {
  container: string;
  command: readonly string[];
  tty: boolean;
  /** Ends when the client closes its stdin. `undefined`: no stdin. */
  stdin: NodeJS.ReadableStream | undefined;
  stdout: NodeJS.WritableStream;
  stderr: NodeJS.WritableStream;
  onResize?: (listener: (size: { width: number; height: number }) => void) => void;
  signal: AbortSignal;
}

export interface ExecResult {
  exitCode: number;
}

export interface ApiServer {
  readonly url: string;
  /** Where each listener answers, in the order given. */
  readonly urls: readonly string[];
  /** Path of an admin kubeconfig with a client certificate. */
  readonly kubeconfig: string;
  readonly store: Store;
  /** The authority's certificate in PEM. */
  readonly ca: string;
  /** Client certificate and key in PEM for a user, e.g. `system:node:k8s-cp1`. */
  issueClientCertificate(user: string, groups?: readonly string[]): { certificate: string; key: string };
  /** The text of a kubeconfig with its own client certificate. */
  kubeconfigFor(user: string, options?: { server?: string; groups?: readonly string[] }): string;
  stop(): Promise<void>;
}

const homelab = {
  names: {
    dns: [
      'localhost',
      'kubernetes',
      'kubernetes.default',
      'kubernetes.default.svc',
      'kubernetes.default.svc.cluster.local',
    ],
    addresses: ['127.0.0.1', '::1', '10.10.30.10', '10.10.30.1', '10.96.0.1', 'fd00:10:96::1'],
  },
  serviceRanges: { ipv4: '10.96.0.0/16', ipv6: 'fd00:10:96::/112' },
  nodePorts: { first: 30_000, last: 32_767 },
};

/** Starts the server on its directory. The standard namespaces and the objects of the last run are there when it returns. */
export async function startApiServer(options: ApiServerOptions): Promise<ApiServer> {
  const log = options.log ?? (() => undefined);
  const hooks = options.hooks ?? {};
  const { ipv4, ipv6 } = options.serviceRanges ?? homelab.serviceRanges;
  const names = {
    dns: [...homelab.names.dns, ...(options.names?.dns ?? [])],
    addresses: [...homelab.names.addresses, ...(options.names?.addresses ?? [])],
  };
  const authority = keptAuthority(join(options.directory, 'pki'));
  const journal = new Journal(join(options.directory, 'objects.ndjson'));
  const cluster = new Cluster(
    {
      ipv4: ipv4 === undefined ? undefined : parsePrefix(ipv4),
      ipv6: ipv6 === undefined ? undefined : parsePrefix(ipv6),
      nodePorts: homelab.nodePorts,
    },
    {
      onChange: (resource, change) => journal.record(resource, change),
      ...(options.historyMax !== undefined && { historyMax: options.historyMax }),
    },
  );
  journal.restore(cluster.storage);
  cluster.adopt();
  createStandardObjects(
    cluster,
    [ipv4, ipv6].filter((range) => range !== undefined),
  );

  const credentials = authority.issueServer({ commonName: 'kube-apiserver' }, names);
  const handle = requestHandler(cluster, { hooks, log });
  const fronts = await Promise.all(
    options.listeners.map((listener) =>
      listen(listener, { ...credentials, ca: authority.certificate, handle, hooks, cluster }),
    ),
  );
  const urls = fronts.map(urlOf);
  const url = options.publicUrl ?? urls[0] ?? '';
  const kubeconfigFor: ApiServer['kubeconfigFor'] = (user, { server = url, groups = [] } = {}) =>
    kubeconfigText({
      server,
      ca: authority.certificate,
      user,
      pair: authority.issueClient({ commonName: user, organizations: groups }),
    });
  const kubeconfig = join(options.directory, 'kubeconfig');
  writeFileSync(kubeconfig, kubeconfigFor('kubernetes-admin', { groups: ['system:masters'] }), { mode: 0o600 });

  return {
    url,
    urls,
    kubeconfig,
    store: cluster,
    ca: authority.certificate,
    issueClientCertificate: (user, groups = []) => authority.issueClient({ commonName: user, organizations: groups }),
    kubeconfigFor,
    stop: async () => {
      await Promise.all(fronts.map((front) => front.close()));
      journal.close();
    },
  };
}

/** What every cluster has before anybody asks. */
export function createStandardObjects(store: Store, cidrs: readonly string[]): void {
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
    if (!store.get('namespaces', name)) store.create('namespaces', { metadata: { name } });
  const serviceCidrs = 'servicecidrs.networking.k8s.io';
  if (store.get(serviceCidrs, 'kubernetes')) return;
  store.create(serviceCidrs, { metadata: { name: 'kubernetes' }, spec: { cidrs: [...cidrs] } });
  const ready = {
    type: 'Ready',
    status: 'True',
    reason: '',
    message: 'Kubernetes Service CIDR is ready',
    lastTransitionTime: new Date().toISOString(),
  };
  store.modify(
    serviceCidrs,
    { name: 'kubernetes' },
    (draft) => Object.assign(draft, { status: { conditions: [ready] } }),
    {
      subresource: 'status',
    },
  );
}

function urlOf({ address }: Front): string {
  const { address: host, port }: Pick<AddressInfo, 'address' | 'port'> = address;
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}
