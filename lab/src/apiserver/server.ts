import type { Pod } from './kinds/types.ts';
import type { Store } from './store.ts';

export interface ApiServerOptions {
  /** Certificates, the kubeconfig and the journal of objects live here; a server started again on it finds its objects. */
  directory: string;
  listeners: readonly Listener[];
  /** Address that kubeconfig and `kubectl cluster-info` show. Default: the first host and port. */
  publicUrl?: string;
  hooks?: PodHooks;
  log?: (message: string) => void;
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
  /** Path of an admin kubeconfig with a client certificate. */
  readonly kubeconfig: string;
  readonly store: Store;
  readonly ca: string;
  /** Client certificate and key in PEM for a user, e.g. `system:node:k8s-cp1`. */
  issueClientCertificate(user: string, groups?: readonly string[]): { certificate: string; key: string };
  /** The text of a kubeconfig with its own client certificate. */
  kubeconfigFor(user: string, options?: { server?: string; groups?: readonly string[] }): string;
  stop(): Promise<void>;
}

export async function startApiServer(_options: ApiServerOptions): Promise<ApiServer> {
  throw new Error('being built');
}
