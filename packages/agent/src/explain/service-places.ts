import type { ServiceObject } from '@sluice/kube';
import { anyAddress, type FrontendRow, isAnyAddress } from '@sluice/loadbalancer';
import { type Address, familyOf, parseAddress } from '@sluice/net';
import type { ExplainSources } from './sources.ts';

/** Where a service is asked: an address, a port, a protocol, and the rows that clients of the two scopes have there. */
export interface ServicePlace {
  readonly key: string;
  readonly type: FrontendRow['type'];
  readonly portName: string;
  readonly address: Address;
  readonly port: number;
  readonly protocol: 'TCP' | 'UDP';
  readonly rows: { readonly internal: FrontendRow | undefined; readonly external: FrontendRow | undefined };
}

/** A place that the service asks for and where nothing serves it. */
export interface UnservedPlace {
  readonly key: string;
  readonly type: FrontendRow['type'];
  readonly portName: string;
  readonly reason: string;
}

export interface ServicePlaces {
  readonly served: readonly ServicePlace[];
  readonly unserved: readonly UnservedPlace[];
}

export function servicePlaces(name: string, { frontends }: ExplainSources): ServicePlaces {
  const served = new Map<string, ServicePlace>();
  const unserved: UnservedPlace[] = [];
  for (const row of frontends?.by('service', name) ?? []) {
    if (row.type === 'HealthCheck') continue;
    const place = row.state === 'off' ? undefined : parsePlace(row);
    if (place === undefined) {
      const { key, type, portName, reason = row.state } = row;
      unserved.push({ key, type, portName, reason });
      continue;
    }
    const known = served.get(place.key);
    served.set(place.key, known === undefined ? place : { ...known, rows: both(known, place) });
  }
  return { served: [...served.values()].sort(byType), unserved };
}

function both({ rows: one }: ServicePlace, { rows: other }: ServicePlace): ServicePlace['rows'] {
  return { internal: one.internal ?? other.internal, external: one.external ?? other.external };
}

/** Undefined: no place, but a claim that another service has. */
function parsePlace(row: FrontendRow): ServicePlace | undefined {
  const { key: text, type, portName } = row;
  const [, bracketed, plain, port, protocol, external] =
    /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d+)\/(TCP|UDP)(\/external)?$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  if (host === undefined || port === undefined) return undefined;
  return {
    key: external === undefined ? text : text.slice(0, -external.length),
    ...{
      type,
      portName,
      address: parseAddress(host),
      port: Number(port),
      protocol: protocol === 'UDP' ? 'UDP' : 'TCP',
    },
    rows: { internal: external ? undefined : row, external: external ? row : undefined },
  };
}

const order = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalIP', 'HostPort', 'HealthCheck'] as const;

function byType(one: ServicePlace, other: ServicePlace): number {
  return order.indexOf(one.type) - order.indexOf(other.type);
}

/** What a client names; undefined: no address of this node has NodePorts. */
export function askedAddress({ address }: ServicePlace, { nodes }: ExplainSources): Address | undefined {
  if (!isAnyAddress(address)) return address;
  return nodes.nodePortAddresses().served.find((own) => anyAddress(familyOf(own)) === address);
}

/** Why a service has no frontend at all; undefined: it should have some. */
export function whyNoPlace(service: ServiceObject, { frontends }: ExplainSources): string | undefined {
  if (frontends === undefined) return 'services are left to another load balancer (kubeProxyReplacement is off)';
  if (service.type === 'ExternalName')
    return `DNS answers with the name ${service.externalName ?? '(none is given)'}; whoever asks goes there himself, and nothing is translated`;
  const foreign = foreignLabels.find((label) => label in service.labels);
  if (foreign !== undefined) return `its label ${foreign} leaves it to another proxy, or to none`;
  if (service.headless) return 'it is headless: DNS answers with its endpoints, and nothing is translated';
  if (service.clusterIps.length === 0) return 'it has no cluster address (yet)';
  return undefined;
}

const foreignLabels = ['service.kubernetes.io/service-proxy-name', 'service.kubernetes.io/headless'] as const;
