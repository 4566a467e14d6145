import { conflictKey, conflictText, type LoadBalancer } from '@sluice/loadbalancer';

type Tables = Pick<LoadBalancer, 'frontends' | 'conflicts'>;

/** A place that a Service asks for, and whose it is. */
export interface OthersPlace {
  readonly key: string;
  readonly reason: string;
}

/** External addresses that somebody else has; what is off for another reason has its place for itself. */
export function refusedExternalIps({ frontends, conflicts }: Tables): OthersPlace[] {
  const claims = new Set(conflicts.list().map(conflictKey));
  return frontends
    .list()
    .filter(({ key, type, service }) => type === 'ExternalIP' && key.endsWith(` of ${service}`) && !claims.has(key))
    .map(({ key, reason = '' }) => ({ key, reason }));
}

export function conflictingPlaces({ conflicts }: Pick<Tables, 'conflicts'>): OthersPlace[] {
  return conflicts.list().map((conflict) => ({ key: conflictKey(conflict), reason: conflictText(conflict) }));
}
