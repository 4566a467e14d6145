import type { ApiServer } from '../apiserver/index.ts';
import type { LabLayout } from '../layout.ts';
import { inOrder, type LabTopology } from '../topology.ts';

/** What the parts of a running lab share. */
export interface Cluster {
  readonly layout: LabLayout;
  readonly topology: LabTopology;
  readonly api: ApiServer;
  readonly log: (message: string) => void;
}

/** Where nodes reach the API server. */
export function apiServerOf({ apiServer, apiServerPort }: LabTopology): { address: string; port: number } {
  const [address = ''] = inOrder(apiServer);
  return { address, port: apiServerPort };
}

export function kubeconfigFor({ api, topology }: Cluster, user: string): string {
  const { address, port } = apiServerOf(topology);
  const server = `https://${address.includes(':') ? `[${address}]` : address}:${port}`;
  return api.kubeconfigFor(user, { server, groups: ['system:masters'] });
}
