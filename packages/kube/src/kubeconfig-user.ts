import type { CredentialPlugin, KubeConfiguration } from './configuration.ts';
import { type Field, isRecord } from './field.ts';
import { besides, defined, fromBase64 } from './kubeconfig-cluster.ts';

/** Who we are, or the program that tells. What is written down goes before it, as kubectl has it. */
export function userOf(user: Field, path: string, cluster: Field): Partial<KubeConfiguration> {
  if (user.get('auth-provider').present) {
    const name = user.get('auth-provider').get('name').text() ?? 'without a name';
    throw new Error(
      `kubeconfig ${path}: auth-provider (${name}) is not supported; kubectl has taken them out as well: the provider's tool writes a user with exec instead`,
    );
  }
  const token = user.get('token').text() || undefined;
  const tokenFile = besides(path, user.get('tokenFile'));
  const basic = basicOf(user);
  const isWritten = (token ?? tokenFile ?? basic) !== undefined;
  return defined({
    cert: fromBase64(user.get('client-certificate-data')),
    certFile: besides(path, user.get('client-certificate')),
    key: fromBase64(user.get('client-key-data')),
    keyFile: besides(path, user.get('client-key')),
    token,
    tokenFile,
    basic,
    impersonation: impersonationOf(user),
    plugin: isWritten ? undefined : pluginOf(user.get('exec'), path, cluster),
  });
}

function basicOf(user: Field): KubeConfiguration['basic'] {
  const username = user.get('username').text();
  return username ? { username, password: user.get('password').text() ?? '' } : undefined;
}

/** Headers as Kubernetes' "user impersonation" has them; keys of `as-user-extra` may have any character. */
function impersonationOf(user: Field): KubeConfiguration['impersonation'] {
  const groups = user.get('as-groups');
  const extra = user.get('as-user-extra');
  const headers = {
    'impersonate-user': headerText(user.get('as')),
    'impersonate-uid': headerText(user.get('as-uid')),
    'impersonate-group': groups.present ? headerTexts(groups) : undefined,
    ...Object.fromEntries(
      Object.keys(isRecord(extra.value) ? extra.value : {}).map((key) => [
        `impersonate-extra-${encodeURIComponent(key.toLowerCase())}`,
        headerTexts(extra.get(key)),
      ]),
    ),
  };
  const given = defined(headers);
  return Object.keys(given).length === 0 ? undefined : given;
}

/** Its bytes, as headers carry them. */
function headerText(field: Field): string | undefined {
  const text = field.text() ?? '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what would end the header's line
  if (!/[\x00-\x1f\x7f]/.test(text)) return Buffer.from(text).toString('latin1') || undefined;
  field.problem('it has a character that no header may have');
  return undefined;
}

const headerTexts = (field: Field): string[] => field.items().flatMap((item) => headerText(item) ?? []);
const textsOf = (field: Field): string[] => field.items().flatMap((item) => item.text() ?? []);

const group = 'client.authentication.k8s.io';
const apiVersions = [`${group}/v1`, `${group}/v1beta1`] as const;
const interactiveModes = ['Never', 'IfAvailable', 'Always'] as const;

function pluginOf(exec: Field, path: string, cluster: Field): CredentialPlugin | undefined {
  if (!exec.present) return undefined;
  const command = exec.get('command').text();
  if (!command) throw new Error(`kubeconfig ${path}: ${exec.path} has no command`);
  const apiVersion = exec.get('apiVersion').text() ?? '';
  const known = apiVersions.find((each) => each === apiVersion);
  if (known === undefined) {
    const remedy = apiVersion === `${group}/v1alpha1` ? '; a newer version of the program speaks v1' : '';
    throw new Error(
      `kubeconfig ${path}: ${exec.path}.apiVersion "${apiVersion}" is none of ${apiVersions.join(', ')}${remedy}`,
    );
  }
  const interactiveMode = exec.get('interactiveMode').oneOf(interactiveModes);
  if (interactiveMode === undefined && known === apiVersions[0]) {
    throw new Error(`kubeconfig ${path}: ${exec.path}.interactiveMode is to be one of ${interactiveModes.join(', ')}`);
  }
  return {
    apiVersion: known,
    // A bare name is looked for in PATH.
    command: command.includes('/') ? (besides(path, exec.get('command')) ?? command) : command,
    args: textsOf(exec.get('args')),
    env: Object.fromEntries(exec.get('env').items().flatMap(variableOf)),
    interactiveMode: interactiveMode ?? 'IfAvailable',
    installHint: exec.get('installHint').text(),
    clusterInfo: exec.get('provideClusterInfo').boolean() ? { config: configFor(cluster) } : undefined,
  };
}

function variableOf(item: Field): [name: string, value: string][] {
  const name = item.get('name').text();
  if (name) return [[name, item.get('value').text() ?? '']];
  item.problem('a variable has no name');
  return [];
}

/** What a cluster's entry says to whatever program its users have. */
function configFor(cluster: Field): unknown {
  const extensions = cluster.get('extensions').items();
  return extensions.find((item) => item.get('name').value === `${group}/exec`)?.get('extension').value;
}
