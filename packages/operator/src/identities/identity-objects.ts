import { podNamespaceLabel } from '@sluice/identity';
import {
  isAlreadyExists,
  isConflict,
  isNotFound,
  isRecord,
  type KubeClient,
  parseCiliumIdentity,
  resources,
  unusedSinceAnnotation,
} from '@sluice/kube';
import type { IdentityId } from '@sluice/model';

const resource = resources.ciliumIdentities;

/** Our kind of object at the API server. */
export class IdentityObjects {
  readonly #client: KubeClient;

  constructor(client: KubeClient) {
    this.#client = client;
  }

  /** The labels that have the number from now on: ours, or those of whoever was faster. */
  async create(id: IdentityId, labels: readonly string[], signal: AbortSignal): Promise<readonly string[]> {
    try {
      await this.#client.create(resource, identityObject(id, labels), { signal });
      return labels;
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return parseCiliumIdentity(await this.#client.get(resource, { name: String(id), signal })).labels;
    }
  }

  /** Says since when nobody uses it, or that somebody does. False: there is no such object any more. */
  async mark(id: IdentityId, unusedSince: number | undefined, signal: AbortSignal): Promise<boolean> {
    const value = unusedSince === undefined ? null : new Date(unusedSince).toISOString();
    const patch = { metadata: { annotations: { [unusedSinceAnnotation]: value } } };
    try {
      await this.#client.patch(resource, { name: String(id), patch, signal });
      return true;
    } catch (error) {
      if (isNotFound(error)) return false;
      throw error;
    }
  }

  /** Deletes it if it is still marked, and is the very object that was looked at. Returns whether it is gone. */
  async deleteMarked(id: IdentityId, isStillUnused: () => boolean, signal: AbortSignal): Promise<boolean> {
    const name = String(id);
    try {
      const object = await this.#client.get(resource, { name, signal });
      if (parseCiliumIdentity(object).unusedSince === undefined || !isStillUnused()) return false;
      await this.#client.delete(resource, { name, ...versionOf(object), signal });
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      if (!isNotFound(error)) throw error;
      return true;
    }
  }
}

function identityObject(id: IdentityId, labels: readonly string[]) {
  const entries = labels.map((label): [string, string] => {
    const end = label.indexOf('=');
    return [label.slice(0, end), label.slice(end + 1)];
  });
  const namespace = entries.find(([key]) => key === `k8s:${podNamespaceLabel}`)?.[1];
  const metadata = { name: String(id), ...(namespace && { labels: { [podNamespaceLabel]: namespace } }) };
  return { metadata, 'security-labels': Object.fromEntries(entries) };
}

function versionOf(object: unknown): { uid?: string; resourceVersion?: string } {
  const metadata = isRecord(object) && isRecord(object.metadata) ? object.metadata : {};
  const { uid, resourceVersion } = metadata;
  return {
    ...(typeof uid === 'string' && { uid }),
    ...(typeof resourceVersion === 'string' && { resourceVersion }),
  };
}
