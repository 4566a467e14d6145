import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { readKubeconfig } from './kubeconfig.ts';

/** Where the API server is and how we prove who we are. Text in PEM; a file is read again when it changes. */
export interface KubeConfiguration {
  /** `https://10.10.30.10:6443`, in order of preference. */
  readonly servers: readonly string[];
  readonly ca?: string;
  readonly caFile?: string;
  readonly cert?: string;
  readonly certFile?: string;
  readonly key?: string;
  readonly keyFile?: string;
  readonly token?: string;
  /** Read again at least once a minute: the kubelet rotates it. */
  readonly tokenFile?: string;
  /** The name that the server's certificate must bear, where it is not that of the URL. */
  readonly serverName?: string;
  readonly insecureSkipTlsVerify?: boolean;
  /** For a proxy in front of the API server that asks for them; Kubernetes itself takes none. */
  readonly basic?: { readonly username: string; readonly password: string };
  /** In whose name we ask, as headers of each request. */
  readonly impersonation?: Readonly<Record<string, string | readonly string[]>>;
  /** `http://proxy:3128`, by which the API server is reached. */
  readonly proxyUrl?: string;
  /** A program that tells who we are; whoever makes the client runs it, see `ProofSource`. */
  readonly plugin?: CredentialPlugin;
}

/** `user.exec` of a kubeconfig (KEP-541). */
export interface CredentialPlugin {
  readonly apiVersion: 'client.authentication.k8s.io/v1' | 'client.authentication.k8s.io/v1beta1';
  /** An absolute path, or a name that is looked for in PATH. */
  readonly command: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly interactiveMode: 'Never' | 'IfAvailable' | 'Always';
  /** How one gets it, for who does not have it. */
  readonly installHint: string | undefined;
  /** Whether it is told of the cluster, and what the kubeconfig says to it besides. */
  readonly clusterInfo: { readonly config: unknown } | undefined;
}

export interface ConfigurationSources {
  /** Path of a kubeconfig. Without it: the service account of the pod that we run in. */
  readonly kubeconfig?: string | undefined;
  /** Default: the kubeconfig's current context. */
  readonly context?: string | undefined;
  /** Used instead of the servers that the source names: they work before any service routing does. */
  readonly servers?: readonly string[] | undefined;
  readonly environment?: Readonly<Record<string, string | undefined>>;
  readonly serviceAccountDirectory?: string;
}

/** The configuration from a kubeconfig or from the service account of our pod. */
export function kubeConfiguration(sources: ConfigurationSources = {}): KubeConfiguration {
  const found = sources.kubeconfig
    ? withoutPlugin(readKubeconfig(sources.kubeconfig, sources.context), sources.kubeconfig)
    : inClusterConfiguration(sources.environment, sources.serviceAccountDirectory);
  return sources.servers && sources.servers.length > 0 ? { ...found, servers: sources.servers } : found;
}

/** A process that nobody sits before: no program of a person's is started for it, and none is asked to log in. */
function withoutPlugin(configuration: KubeConfiguration, path: string): KubeConfiguration {
  if (configuration.plugin === undefined) return configuration;
  const why = 'a user with exec is for people at a terminal, and this process runs by itself';
  throw new Error(`kubeconfig ${path}: ${why}; give it a client certificate or a tokenFile`);
}

export function inClusterConfiguration(
  environment: Readonly<Record<string, string | undefined>> = process.env,
  directory = '/var/run/secrets/kubernetes.io/serviceaccount',
): KubeConfiguration {
  const tokenFile = join(directory, 'token');
  if (!existsSync(tokenFile)) {
    throw new Error(`no kubeconfig was given and no service account is mounted at ${directory}; give --kubeconfig`);
  }
  const host = environment.KUBERNETES_SERVICE_HOST;
  const port = environment.KUBERNETES_SERVICE_PORT ?? '443';
  const servers = host ? [serverUrl(host, port)] : [];
  return { servers, caFile: join(directory, 'ca.crt'), tokenFile };
}

/** `https://host:port`, with brackets where the host is an IPv6 address. */
export function serverUrl(host: string, port: string | number): string {
  return `https://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Of the Helm values: what they say of the API servers. */
export interface ServerValues {
  readonly k8s: { readonly apiServerURLs: readonly string[] };
  readonly k8sServiceHost: string;
  readonly k8sServicePort: string | number;
}

/** The servers that the values name; none: the kubeconfig's, or the cluster's own. */
export function serversOf({ k8s, k8sServiceHost, k8sServicePort }: ServerValues): string[] {
  if (k8s.apiServerURLs.length > 0) return [...k8s.apiServerURLs];
  return k8sServiceHost === '' ? [] : [serverUrl(k8sServiceHost, k8sServicePort)];
}
