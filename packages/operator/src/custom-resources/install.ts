import { createHash } from 'node:crypto';
import { isAlreadyExists, isNotFound, isRecord, type KubeClient, resources } from '@sluice/kube';
import type { Logger } from '@sluice/runtime';
import type { Definition } from './definitions.ts';

/** Ours, and of which content; without it somebody else installed the kind. */
const contentAnnotation = 'sluice.io/definition';

export interface InstallOptions {
  readonly client: KubeClient;
  readonly log: Logger;
}

/** Makes the API server know our kinds. One that somebody else has installed stays, when it has the version we use. */
export async function installDefinitions(
  definitions: readonly Definition[],
  { client, log }: InstallOptions,
  signal: AbortSignal,
): Promise<void> {
  for (const definition of definitions) {
    const { name } = definition.metadata;
    const found = await find(client, name, signal);
    if (found === undefined) await create(definition, { client, log }, signal);
    else if (contentOf(found) === undefined) requireVersions(definition, found);
    else if (contentOf(found) !== digest(definition)) {
      const { metadata, spec } = withContent(definition);
      const patch = { metadata: { annotations: metadata.annotations }, spec: { versions: spec.versions } };
      await client.patch(resources.customResourceDefinitions, { name, patch, signal });
      log.info({ name }, 'brought the definition of a kind up to date');
    }
  }
}

async function find(client: KubeClient, name: string, signal: AbortSignal): Promise<unknown> {
  try {
    return await client.get(resources.customResourceDefinitions, { name, signal });
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}

async function create(definition: Definition, { client, log }: InstallOptions, signal: AbortSignal): Promise<void> {
  try {
    await client.create(resources.customResourceDefinitions, withContent(definition), { signal });
    log.info({ name: definition.metadata.name }, 'installed the definition of a kind');
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}

function withContent(definition: Definition) {
  const annotations = { [contentAnnotation]: digest(definition) };
  return { ...definition, metadata: { ...definition.metadata, annotations } };
}

function digest(definition: Definition): string {
  return createHash('sha256').update(JSON.stringify(definition)).digest('hex').slice(0, 16);
}

function contentOf(object: unknown): string | undefined {
  const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
  const annotations = isRecord(metadata.annotations) ? metadata.annotations : {};
  const content = annotations[contentAnnotation];
  return typeof content === 'string' ? content : undefined;
}

function requireVersions(definition: Definition, found: unknown): void {
  const spec = isRecord(found) && isRecord(found.spec) ? found.spec : {};
  const versions: unknown[] = Array.isArray(spec.versions) ? spec.versions : [];
  const served = new Set(versions.flatMap((version) => (isRecord(version) && version.served ? [version.name] : [])));
  const lacking = definition.spec.versions.map(({ name }) => name).filter((name) => !served.has(name));
  if (lacking.length === 0) return;
  throw new Error(
    `${definition.metadata.name} is installed by somebody else without the version ${lacking.join(', ')} that we use: delete it, then it is installed anew`,
  );
}
