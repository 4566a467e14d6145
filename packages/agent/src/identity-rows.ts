import { type IdentityId, reservedIdentities, reservedLabel } from '@sluice/model';
import { formatPrefix, hostPrefix } from '@sluice/net';
import type { Agent } from './agent.ts';
import type { IdentityRow, IpListRow } from './report.ts';

type Sources = Pick<Agent, 'kubernetes' | 'endpoints' | 'nodes' | 'options'>;

/** Reserved ones first, then all of the cluster's. */
export function* identityRows({ kubernetes, endpoints }: Sources): Generator<IdentityRow, void> {
  const { identities } = kubernetes;
  const local = Map.groupBy(endpoints?.table.list() ?? [], (row) => row.identity);
  const row = (id: IdentityId, labels: readonly string[]): IdentityRow => ({
    identity: id,
    labels,
    endpoints: local.get(id)?.length ?? 0,
    unusedSince: identities.unusedSince(id),
  });
  for (const id of Object.values(reservedIdentities)) yield row(id, [reservedLabel(id) ?? '']);
  for (const id of identities.ids()) yield row(id, identities.labelsOf(id) ?? []);
}

/** Empty where the number is not known here. */
export function labelsOfIdentity({ identities }: Sources['kubernetes'], id: IdentityId): readonly string[] {
  return identities.labelsOf(id) ?? [reservedLabel(id) ?? []].flat();
}

/** What each address and prefix is known as on this node: its own pods, and what the maps have of all others. */
export function* ipListRows({ kubernetes, endpoints, nodes, options }: Sources): Generator<IpListRow, void> {
  const labelsOf = (id: IdentityId) => labelsOfIdentity(kubernetes, id);
  for (const { ipv4, ipv6, identity, pod } of endpoints?.table.list() ?? []) {
    for (const address of [ipv4, ipv6]) {
      if (address === undefined) continue;
      yield {
        prefix: formatPrefix(hostPrefix(address)),
        identity,
        labels: labelsOf(identity),
        node: options.nodeName,
        tunnelEndpoint: undefined,
        source: 'endpoint',
        pod: pod && `${pod.namespace}/${pod.name}`,
      };
    }
  }
  for (const row of nodes.ips()) yield { ...row, labels: labelsOf(row.identity) };
}
