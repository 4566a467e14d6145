import { isNotFound, type KubeClient, type Resource } from '@sluice/kube';

/** Custom resources that are stored for features to come. `count` undefined: the kind is not installed. */
export interface StoredKind {
  readonly kind: string;
  readonly count: number | undefined;
}

const group = 'cilium.io';
const kinds: readonly Omit<Resource, 'version'>[] = [
  { group, plural: 'ciliumloadbalancerippools', kind: 'CiliumLoadBalancerIPPool', namespaced: false },
  { group, plural: 'ciliuml2announcementpolicies', kind: 'CiliumL2AnnouncementPolicy', namespaced: false },
];
/** The newest version first; clusters have the one or the other. */
const versions = ['v2', 'v2alpha1'];

/** How many there are of each. A kind that is not installed is a feature that is off, not an error. */
export async function countStoredKinds(client: KubeClient, signal: AbortSignal): Promise<StoredKind[]> {
  const counts: StoredKind[] = [];
  for (const kind of kinds) counts.push({ kind: kind.kind, count: await count(client, kind, signal) });
  return counts;
}

async function count(
  client: KubeClient,
  kind: Omit<Resource, 'version'>,
  signal: AbortSignal,
): Promise<number | undefined> {
  for (const version of versions) {
    try {
      return (await client.list({ ...kind, version }, { signal })).items.length;
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
  }
  return undefined;
}
