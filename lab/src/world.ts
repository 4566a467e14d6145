import type { AddressFamily } from '@sluice/net';
import type { LabAddresses } from './topology.ts';

/**
 * What is outside the cluster, behind the router, in addresses that are kept for documentation (RFC 5737, RFC 3849). The router
 * knows no route to pods or services: what leaves a node under such an address is not answered.
 */
export interface LabWorld {
  /** A host whose server tells whom it saw: TCP, UDP and HTTP, all at `port`. */
  readonly internet: LabAddresses;
  /** Further addresses of that host, each without a sister in the other family. */
  readonly ipv4Only: string | undefined;
  readonly ipv6Only: string | undefined;
  readonly port: number;
  /** A host from which somebody outside asks; it serves nothing. */
  readonly client: LabAddresses;
  /** What the cluster's name server answers for them. */
  readonly names: Readonly<Record<string, readonly string[]>>;
  readonly hosts: readonly WorldHost[];
}

export interface WorldHost {
  readonly name: string;
  readonly addresses: readonly LabAddresses[];
  /** The router's addresses on the cable to it. */
  readonly router: LabAddresses;
}

export const internetName = 'internet';
export const clientName = 'client';

const all = {
  internet: { 4: '198.51.100.10', 6: '2001:db8:100::10' },
  ipv4Only: { 4: '198.51.100.4' },
  ipv6Only: { 6: '2001:db8:100::6' },
  internetRouter: { 4: '198.51.100.1', 6: '2001:db8:100::1' },
  client: { 4: '203.0.113.10', 6: '2001:db8:113::10' },
  clientRouter: { 4: '203.0.113.1', 6: '2001:db8:113::1' },
} as const satisfies Record<string, LabAddresses>;

export function labWorld(families: readonly AddressFamily[]): LabWorld {
  const known = (addresses: LabAddresses): LabAddresses =>
    Object.fromEntries(families.flatMap((family) => (addresses[family] ? [[family, addresses[family]]] : [])));
  const [internet, client] = [known(all.internet), known(all.client)];
  const [ipv4Only, ipv6Only] = [known(all.ipv4Only), known(all.ipv6Only)];
  return {
    internet,
    ipv4Only: ipv4Only[4],
    ipv6Only: ipv6Only[6],
    port: 80,
    client,
    names: {
      'internet.test': Object.values(internet),
      'ipv4.internet.test': Object.values(ipv4Only),
      'ipv6.internet.test': Object.values(ipv6Only),
      'client.test': Object.values(client),
    },
    hosts: [
      { name: internetName, addresses: [internet, ipv4Only, ipv6Only], router: known(all.internetRouter) },
      { name: clientName, addresses: [client], router: known(all.clientRouter) },
    ],
  };
}
