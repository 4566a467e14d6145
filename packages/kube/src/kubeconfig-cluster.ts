import { dirname, resolve } from 'node:path';
import type { KubeConfiguration } from './configuration.ts';
import type { Field } from './field.ts';

/** Where the API server is, and how it proves to be the one. */
export function clusterOf(
  cluster: Field,
  path: string,
  context: string,
): Pick<KubeConfiguration, 'servers'> & Partial<KubeConfiguration> {
  const server = cluster.get('server').text();
  if (!server) throw new Error(`kubeconfig ${path}: the cluster of context ${context} has no server`);
  const trust = {
    ca: fromBase64(cluster.get('certificate-authority-data')),
    caFile: besides(path, cluster.get('certificate-authority')),
    serverName: cluster.get('tls-server-name').text() || undefined,
    insecureSkipTlsVerify: cluster.get('insecure-skip-tls-verify').boolean(),
  };
  return {
    servers: [serverOf(server, { path, isTls: Object.values(trust).some((value) => value !== undefined) })],
    ...defined({ ...trust, proxyUrl: proxyOf(cluster.get('proxy-url').text(), path) }),
  };
}

/** Without a scheme it is TLS where anything is said of TLS, as kubectl has it. */
function serverOf(text: string, { path, isTls }: { readonly path: string; readonly isTls: boolean }): string {
  const url = text.includes('://') ? text : `${isTls ? 'https' : 'http'}://${text}`;
  if (!URL.canParse(url) || !/^https?:/.test(url)) {
    throw new Error(`kubeconfig ${path}: server ${text} is no address such as https://10.0.0.1:6443`);
  }
  return url.replace(/\/+$/, '');
}

function proxyOf(text: string | undefined, path: string): string | undefined {
  if (!text) return undefined;
  if (URL.canParse(text) && /^https?:/.test(text)) return text;
  // It may hold a password.
  const scheme = /^[a-z0-9+.-]+(?=:)/i.exec(text)?.[0] ?? 'without a scheme';
  throw new Error(
    `kubeconfig ${path}: proxy-url (${scheme}) is not supported; http:// and https:// are, or a tunnel of your own to the server`,
  );
}

export function fromBase64(field: Field): string | undefined {
  const text = field.text();
  return text ? Buffer.from(text, 'base64').toString('utf8') : undefined;
}

export function besides(path: string, field: Field): string | undefined {
  const file = field.text();
  return file ? resolve(dirname(path), file) : undefined;
}

export function defined<T extends object>(object: T): { [K in keyof T]?: NonNullable<T[K]> } {
  const entries = Object.entries(object).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as { [K in keyof T]?: NonNullable<T[K]> };
}
