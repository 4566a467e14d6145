import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import { Field } from './field.ts';

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
    ? readKubeconfig(sources.kubeconfig, sources.context)
    : inClusterConfiguration(sources.environment, sources.serviceAccountDirectory);
  return sources.servers && sources.servers.length > 0 ? { ...found, servers: sources.servers } : found;
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

export function readKubeconfig(path: string, context?: string): KubeConfiguration {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new Error(`read kubeconfig: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  return parseKubeconfig(text, { path, context });
}

/** File names in it are relative to the kubeconfig's own folder. */
export function parseKubeconfig(
  text: string,
  { path, context }: { readonly path: string; readonly context?: string | undefined },
): KubeConfiguration {
  const root = new Field(parseYaml(text, path));
  const contextName = context ?? root.get('current-context').text();
  if (!contextName) throw new Error(`kubeconfig ${path}: no current-context; kubectl config use-context sets one`);
  const chosen = named(root, 'contexts', contextName, path).get('context');
  const cluster = named(root, 'clusters', chosen.get('cluster').text() ?? '', path).get('cluster');
  const userName = chosen.get('user').text();
  const user = userName ? named(root, 'users', userName, path).get('user') : new Field(undefined);
  const server = cluster.get('server').text();
  if (!server) throw new Error(`kubeconfig ${path}: the cluster of context ${contextName} has no server`);
  refuseUnsupported(user, path);
  const configuration = { servers: [server], ...clusterTrust(cluster, path), ...userProof(user, path) };
  if (root.problems[0]) throw new Error(`kubeconfig ${path}: ${root.problems[0]}`);
  return configuration;
}

function parseYaml(text: string, path: string): unknown {
  try {
    return parse(text, { logLevel: 'error' });
  } catch (cause) {
    throw new Error(`kubeconfig ${path}: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}

function named(root: Field, list: string, name: string, path: string): Field {
  const entry = root
    .get(list)
    .items()
    .find((item) => item.get('name').value === name);
  if (!entry) {
    const there = root
      .get(list)
      .items()
      .map((item) => String(item.get('name').value));
    throw new Error(
      `kubeconfig ${path}: no entry ${JSON.stringify(name)} in ${list}; it has ${there.join(', ') || 'none'}`,
    );
  }
  return entry;
}

function clusterTrust(cluster: Field, path: string): Partial<KubeConfiguration> {
  const insecure = cluster.get('insecure-skip-tls-verify').boolean();
  return defined({
    ca: fromBase64(cluster.get('certificate-authority-data')),
    caFile: besides(path, cluster.get('certificate-authority')),
    serverName: cluster.get('tls-server-name').text(),
    insecureSkipTlsVerify: insecure,
  });
}

function userProof(user: Field, path: string): Partial<KubeConfiguration> {
  return defined({
    cert: fromBase64(user.get('client-certificate-data')),
    certFile: besides(path, user.get('client-certificate')),
    key: fromBase64(user.get('client-key-data')),
    keyFile: besides(path, user.get('client-key')),
    token: user.get('token').text(),
    tokenFile: besides(path, user.get('tokenFile')),
  });
}

function refuseUnsupported(user: Field, path: string): void {
  for (const way of ['exec', 'auth-provider', 'username']) {
    if (!user.get(way).present) continue;
    throw new Error(`kubeconfig ${path}: a user with ${way} is not supported; use a client certificate or a token`);
  }
}

function fromBase64(field: Field): string | undefined {
  const text = field.text();
  return text === undefined ? undefined : Buffer.from(text, 'base64').toString('utf8');
}

function besides(path: string, field: Field): string | undefined {
  const file = field.text();
  return file ? resolve(dirname(path), file) : undefined;
}

function defined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}
