import { existsSync } from 'node:fs';
import { readFileUpTo } from '@sluice/runtime';
import { parse } from 'yaml';
import type { KubeConfiguration } from './configuration.ts';
import { Field } from './field.ts';
import { clusterOf } from './kubeconfig-cluster.ts';
import { userOf } from './kubeconfig-user.ts';

/** A file that lists certificates of a thousand clusters has some megabytes. */
const fileBytesMax = 16 * 1024 * 1024;

/** One of the files that make a kubeconfig. */
export interface KubeconfigFile {
  readonly path: string;
  readonly root: Field;
}

export function readKubeconfig(path: string, context?: string): KubeConfiguration {
  return parseKubeconfig(readText(path), { path, context });
}

/** As kubectl reads KUBECONFIG: files that are not there are passed over, and of what two say, the first counts. */
export function readKubeconfigs(paths: readonly string[], context?: string): KubeConfiguration {
  const present = paths.filter((path) => existsSync(path));
  const [first = ''] = paths;
  // One that is named and not there is told as such.
  if (present.length === 0) return readKubeconfig(first, context);
  return configurationOf(
    present.map((path) => fileOf(readText(path), path)),
    context,
  );
}

/** File names in it are relative to the kubeconfig's own folder. */
export function parseKubeconfig(
  text: string,
  { path, context }: { readonly path: string; readonly context?: string | undefined },
): KubeConfiguration {
  return configurationOf([fileOf(text, path)], context);
}

function configurationOf(files: readonly KubeconfigFile[], context: string | undefined): KubeConfiguration {
  const contextName = context || files.map(({ root }) => root.get('current-context').text()).find(Boolean);
  if (!contextName) throw new Error(`${named(files)}: no current-context; ${contextsOf(files)}`);
  const chosen = entryOf(files, 'contexts', contextName).field.get('context');
  const cluster = entryOf(files, 'clusters', chosen.get('cluster').text() ?? '');
  const userName = chosen.get('user').text();
  const user = userName ? entryOf(files, 'users', userName) : undefined;
  const configuration = {
    ...clusterOf(cluster.field.get('cluster'), cluster.path, contextName),
    ...(user && userOf(user.field.get('user'), user.path, cluster.field.get('cluster'))),
  };
  for (const { path, root } of files) if (root.problems[0]) throw new Error(`kubeconfig ${path}: ${root.problems[0]}`);
  return configuration;
}

const named = (files: readonly KubeconfigFile[]): string => `kubeconfig ${files.map(({ path }) => path).join(', ')}`;

function contextsOf(files: readonly KubeconfigFile[]): string {
  const names = namesOf(files, 'contexts');
  return names.length === 0 ? 'and no context at all' : `choose with --context one of ${listed(names)}`;
}

type List = 'contexts' | 'clusters' | 'users';

interface Entry {
  readonly path: string;
  readonly field: Field;
}

function entryOf(files: readonly KubeconfigFile[], list: List, name: string): Entry {
  for (const { path, root } of files) {
    const field = root
      .get(list)
      .items()
      .find((item) => item.get('name').value === name);
    if (field !== undefined) return { path, field };
  }
  const there = listed(namesOf(files, list)) || 'none';
  throw new Error(`${named(files)}: no entry ${JSON.stringify(name)} in ${list}; it has ${there}`);
}

function namesOf(files: readonly KubeconfigFile[], list: List): string[] {
  const names = files.flatMap(({ root }) => root.get(list).items());
  return names.map((item) => String(item.get('name').value));
}

const listedMax = 20;

function listed(names: readonly string[]): string {
  const rest = names.length - listedMax;
  return `${names.slice(0, listedMax).join(', ')}${rest > 0 ? ` and ${rest} more` : ''}`;
}

function fileOf(text: string, path: string): KubeconfigFile {
  const value = parseYaml(text, path);
  if (typeof value === 'object' || value === undefined) return { path, root: new Field(value) };
  throw new Error(`kubeconfig ${path}: it is no kubeconfig`);
}

/** Of a parser's message the first line: the others repeat the file, secrets and all. */
function parseYaml(text: string, path: string): unknown {
  try {
    // Merge keys, as kubectl's parser has them.
    return parse(text, { logLevel: 'error', merge: true }) as unknown;
  } catch (cause) {
    const [line = ''] = (cause instanceof Error ? cause.message : String(cause)).split('\n');
    throw new Error(`kubeconfig ${path}: ${line.replace(/:$/, '')}`, { cause });
  }
}

function readText(path: string): string {
  try {
    return readFileUpTo(path, fileBytesMax);
  } catch (cause) {
    throw new Error(`kubeconfig: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
}
