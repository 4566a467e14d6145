import type { KubeClient } from './client.ts';
import { isExpired, isForbidden, KubeError } from './error.ts';
import { Field } from './field.ts';
import { resourcePath, resources } from './resource.ts';

/** What we knew of a server's history: that it had come to a version, and when. */
export interface KnownVersion {
  readonly version: string;
  /** Milliseconds since the epoch, by our clock. */
  readonly at: number;
}

/** Clocks are compared by the Date of answers, which has whole seconds. */
const toleranceMs = 3_000;

/**
 * Whether the server has another history than the one that we know: it was restored from a backup, and has come to our
 * version again. Who watches on from there would hear neither of what was lost nor of what came before that version.
 *
 * API servers, schedulers and controller managers renew Leases in kube-system every few seconds. As these stood at our
 * version, none can have been renewed after we knew of that version; in another history, which came to it later, some
 * have been. False where that cannot be asked: without the right to list Leases, or from a server that knows no exact
 * version.
 */
export async function isOtherHistory(
  client: KubeClient,
  { version, at }: KnownVersion,
  signal: AbortSignal,
): Promise<boolean> {
  const renewals = await leasesAt(client, version, signal);
  const atThere = at - (client.clockAheadMs ?? 0);
  return renewals === 'forgotten' || renewals.some((renewedAt) => renewedAt > atThere + toleranceMs);
}

async function leasesAt(client: KubeClient, version: string, signal: AbortSignal): Promise<number[] | 'forgotten'> {
  const path = resourcePath(resources.leases, { namespace: 'kube-system' });
  const query = { resourceVersion: version, resourceVersionMatch: 'Exact' };
  const bytesMax = client.limits.listPageBytes;
  try {
    const list = new Field(await client.request({ method: 'GET', path, query, bytesMax, patient: false, signal }));
    return list
      .get('items')
      .items()
      .flatMap((lease) => lease.get('spec').get('renewTime').time() ?? []);
  } catch (error) {
    // A watch from there would be refused as well.
    if (isExpired(error)) return 'forgotten';
    if (isForbidden(error) || (error instanceof KubeError && error.status === 400)) return [];
    throw error;
  }
}
