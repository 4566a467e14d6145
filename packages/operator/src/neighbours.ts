import { isNotFound, type KubeClient, type NodeObject, parseService, parseServiceCidr, resources } from '@sluice/kube';
import { hostPrefix, type Prefix } from '@sluice/net';
import type { Neighbour } from './pools.ts';

/** Where services have their addresses, as far as the API tells: ServiceCIDR objects (1.33), and the API's own service. */
export async function serviceNeighbours(client: KubeClient, signal: AbortSignal): Promise<Neighbour[]> {
  const [cidrs, kubernetes] = await Promise.all([
    orNothing(client.list(resources.serviceCidrs, { signal })),
    orNothing(client.get(resources.services, { namespace: 'default', name: 'kubernetes', signal })),
  ]);
  const ranges = (cidrs?.items ?? [])
    .map(parseServiceCidr)
    .flatMap((range) => range.cidrs.map((prefix) => ({ prefix, what: `the services of ServiceCIDR ${range.name}` })));
  if (kubernetes === undefined) return ranges;
  const addresses = parseService(kubernetes).clusterIps;
  return [
    ...ranges,
    ...addresses.map((address) => ({ prefix: hostPrefix(address), what: 'the service default/kubernetes' })),
  ];
}

/** The nodes' own addresses, and the networks that the operator's node is attached to. */
export function nodeNeighbours(nodes: readonly NodeObject[], lan: readonly Prefix[]): Neighbour[] {
  return [
    ...lan.map((prefix) => ({ prefix, what: 'a network that the nodes are attached to' })),
    ...nodes.flatMap((node) =>
      node.addresses.map(({ address }) => ({ prefix: hostPrefix(address), what: `the address of node ${node.name}` })),
    ),
  ];
}

// A server before 1.33 has no ServiceCIDR: a 404 is an answer.
async function orNothing<Answer>(request: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await request;
  } catch (error) {
    if (isNotFound(error)) return undefined;
    throw error;
  }
}
