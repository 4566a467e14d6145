import { readFileSync } from 'node:fs';
import type { KubeConfiguration } from '@sluice/kube';

const serviceAccountToken = '/var/run/secrets/kubernetes.io/serviceaccount/token';
const secretVariable = /token|passw|secret|credential|key|auth/i;

/** What this process could give away itself: what it proves with who it is, and what its environment holds. */
export function knownSecrets(
  environment: Readonly<Record<string, string | undefined>>,
  configuration: KubeConfiguration | undefined,
  told: readonly string[] = [],
): string[] {
  const { token, tokenFile, key, keyFile, basic, proxyUrl, plugin } = configuration ?? {};
  const files = [tokenFile, keyFile, serviceAccountToken].flatMap((path) => (path === undefined ? [] : read(path)));
  const variables = Object.entries({ ...environment, ...plugin?.env }).flatMap(([name, value]) =>
    value !== undefined && secretVariable.test(name) ? [value] : [],
  );
  const proxyPassword = proxyUrl === undefined ? undefined : decodeURIComponent(new URL(proxyUrl).password);
  const given = [token, key, basic?.password, proxyPassword, ...told];
  const secrets = [...given, ...files, ...variables].filter((secret) => secret !== undefined && secret !== '');
  // As it stands in a kubeconfig.
  return secrets.flatMap((secret = '') => [secret.trim(), Buffer.from(secret).toString('base64')]);
}

/** What cannot be read cannot be given away either. */
function read(path: string): string[] {
  try {
    return [readFileSync(path, 'utf8')];
  } catch {
    return [];
  }
}
