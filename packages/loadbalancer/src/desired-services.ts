/**
 * The table of desired frontends, kept from the tables of Services and EndpointSlices. A change of one object touches
 * the frontends of one service. Two services that claim one frontend: the older keeps it, the other one is told.
 */
import { isDeepStrictEqual } from 'node:util';
import type { EndpointSliceObject, NodeObject, ServiceObject } from '@sluice/kube';
import { Table } from '@sluice/state';
import { desiredFrontends, type Viewpoint } from './desired.ts';
import type { ExternalIpGuard } from './external-ips.ts';
import type { DesiredFrontend } from './frontend.ts';
import { type HostPortSource, hostPortFrontends, hostPortOwner } from './host-ports.ts';
import { servicesAt, type WithdrawnPods, withoutWithdrawn } from './withdrawn.ts';

/** A claim that lost: the frontend belongs to an older service. */
export interface FrontendConflict {
  readonly frontend: string;
  /** As which it is claimed. */
  readonly type: DesiredFrontend['type'];
  readonly portName: string;
  readonly service: string;
  readonly owner: string;
}

/** The place as the claimant asks for it, beside that of its owner. */
export function conflictKey({ frontend, service }: Pick<FrontendConflict, 'frontend' | 'service'>): string {
  return `${frontend} of ${service}`;
}

export function conflictText({ frontend, owner }: FrontendConflict): string {
  return `${frontend} belongs to the older service ${owner}`;
}

export interface DesiredServices extends Disposable {
  readonly frontends: Table<DesiredFrontend>;
  readonly conflicts: Table<FrontendConflict>;
}

export interface ServiceSources {
  readonly services: Table<ServiceObject>;
  /** Indexed by `service`: `namespace/name` of the service that a slice belongs to. */
  readonly endpointSlices: Table<EndpointSliceObject>;
  readonly viewpoint: Viewpoint;
  /** Where zone and addresses of `viewpoint.nodeName` are learned; without, it has none. */
  readonly nodes?: Pick<Table<NodeObject>, 'get' | 'initialized' | 'subscribe'>;
  /** Without: external addresses are served whoever owns them. */
  readonly externalIpGuard?: ExternalIpGuard;
  /** Without: nobody serves host ports. */
  readonly hostPorts?: HostPortSource;
  /** Without: pods go when the API says so. */
  readonly withdrawn?: WithdrawnPods;
}

export function deriveServices(sources: ServiceSources): DesiredServices {
  const { services, endpointSlices, nodes, hostPorts, externalIpGuard, withdrawn } = sources;
  const frontends = desiredFrontendTable();
  const conflicts = conflictTable();
  const claims = new Claims();

  // Before all kinds are known nothing is derived: a service whose slices have not come yet would lose its backends.
  let known = false;
  let place = placeOf(nodes?.get(sources.viewpoint.nodeName ?? ''));
  const derive = (names: Iterable<string>): void => {
    if (!known) return;
    const touched = new Set<string>();
    const viewpoint = guardedViewpoint({ ...sources.viewpoint, ...place }, externalIpGuard);
    for (const name of names) {
      const service = services.get(name);
      const slices = withoutWithdrawn(endpointSlices.by('service', name), withdrawn);
      const wanted = service === undefined ? [] : desiredFrontends(service, slices, viewpoint);
      for (const key of claims.replace(name, service?.createdAt ?? '', wanted)) touched.add(key);
    }
    settle(touched, claims, { frontends, conflicts });
  };
  const begin = (): void => {
    if (known || !services.initialized || !endpointSlices.initialized || nodes?.initialized === false) return;
    known = true;
    derive(services.keys());
    frontends.markInitialized('kubernetes');
    conflicts.markInitialized('kubernetes');
  };
  const onServices = services.subscribe((changes) => {
    derive(changes.map((change) => change.key));
    begin();
  });
  const onSlices = endpointSlices.subscribe((changes) => {
    derive(new Set(changes.flatMap(({ before, after }) => [before, after].flatMap(serviceOf))));
    begin();
  });
  const onNodes = nodes?.subscribe(() => {
    const before = place;
    place = placeOf(nodes.get(sources.viewpoint.nodeName ?? ''));
    if (!isDeepStrictEqual(place, before)) derive(services.keys());
    begin();
  });
  const onOwners = externalIpGuard?.subscribe(derive);
  const onWithdrawn = withdrawn?.subscribe((addresses) => derive(servicesAt(addresses, endpointSlices.list())));
  // Known without the API, and served before it has told of anything.
  let owners = new Set<string>();
  const deriveHostPorts = (): void => {
    if (!hostPorts) return;
    const node = hostPorts.node();
    const pods = new Map(hostPorts.pods().map((pod) => [hostPortOwner(pod), pod]));
    const touched = new Set<string>();
    for (const owner of new Set([...owners, ...pods.keys()])) {
      const pod = pods.get(owner);
      const wanted = pod === undefined ? [] : hostPortFrontends(pod, node);
      for (const key of claims.replace(owner, pod?.createdAt ?? '', wanted)) touched.add(key);
    }
    owners = new Set(pods.keys());
    settle(touched, claims, { frontends, conflicts });
  };
  const onHostPorts = hostPorts?.subscribe(deriveHostPorts);
  deriveHostPorts();
  begin();
  return {
    frontends,
    conflicts,
    [Symbol.dispose]: () => {
      onServices[Symbol.dispose]();
      onSlices[Symbol.dispose]();
      onNodes?.[Symbol.dispose]();
      onOwners?.[Symbol.dispose]();
      onWithdrawn?.[Symbol.dispose]();
      onHostPorts?.[Symbol.dispose]();
    },
  };
}

export function guardedViewpoint(viewpoint: Viewpoint, guard: ExternalIpGuard | undefined): Viewpoint {
  if (guard === undefined) return viewpoint;
  return { ...viewpoint, refusedExternalIp: guard.refusal, refusedBalancer: guard.balancerRefusal };
}

/** What of our own Node object services depend on. */
function placeOf(node: NodeObject | undefined): Pick<Viewpoint, 'zone' | 'nodeAddresses'> {
  return { zone: node?.zone, nodeAddresses: node?.addresses.map(({ address }) => address) ?? [] };
}

function desiredFrontendTable(): Table<DesiredFrontend> {
  return new Table<DesiredFrontend>({
    name: 'desired-frontends',
    key: (row) => row.key,
    columns: {
      Frontend: (row) => row.key,
      Service: (row) => row.service,
      Backends: (row) => String(row.backends.length),
    },
    sources: ['kubernetes'],
  });
}

function conflictTable(): Table<FrontendConflict> {
  return new Table<FrontendConflict>({
    name: 'frontend-conflicts',
    key: (row) => `${row.frontend} ${row.service}`,
    indexes: { frontend: (row) => [row.frontend], service: (row) => [row.service] },
    columns: { Frontend: (row) => row.frontend, Service: (row) => row.service, Owner: (row) => row.owner },
    sources: ['kubernetes'],
  });
}

function serviceOf(slice: EndpointSliceObject | undefined): string[] {
  return slice?.serviceName === undefined ? [] : [`${slice.namespace}/${slice.serviceName}`];
}

function settle(
  keys: ReadonlySet<string>,
  claims: Claims,
  tables: { readonly frontends: Table<DesiredFrontend>; readonly conflicts: Table<FrontendConflict> },
): void {
  for (const key of keys) {
    const [owner, ...losers] = claims.of(key);
    if (owner === undefined) tables.frontends.delete(key);
    else tables.frontends.upsert(owner.frontend);
    const stale = new Set(tables.conflicts.by('frontend', key).map((row) => row.service));
    for (const loser of losers) {
      const { service, type, portName } = loser.frontend;
      stale.delete(service);
      tables.conflicts.upsert({ frontend: key, type, portName, service, owner: owner?.frontend.service ?? '' });
    }
    for (const service of stale) tables.conflicts.delete(`${key} ${service}`);
  }
}

interface Claim {
  readonly createdAt: string;
  readonly frontend: DesiredFrontend;
}

/** Who wants which frontend. */
class Claims {
  readonly #byFrontend = new Map<string, Map<string, Claim>>();
  readonly #byService = new Map<string, ReadonlySet<string>>();

  /** Replaces all claims of a service; the frontends concerned, before and after. */
  replace(service: string, createdAt: string, wanted: readonly DesiredFrontend[]): Set<string> {
    const touched = new Set(this.#byService.get(service) ?? []);
    for (const key of touched) this.#drop(key, service);
    for (const frontend of wanted) {
      const claims = this.#byFrontend.get(frontend.key) ?? new Map<string, Claim>();
      this.#byFrontend.set(frontend.key, claims.set(service, { createdAt, frontend }));
      touched.add(frontend.key);
    }
    if (wanted.length > 0) this.#byService.set(service, new Set(wanted.map((frontend) => frontend.key)));
    else this.#byService.delete(service);
    return touched;
  }

  /** Oldest service first, names decide between equals. */
  of(key: string): Claim[] {
    return [...(this.#byFrontend.get(key)?.values() ?? [])].sort((a, b) => compareClaims(a, b));
  }

  #drop(key: string, service: string): void {
    const claims = this.#byFrontend.get(key);
    claims?.delete(service);
    if (claims?.size === 0) this.#byFrontend.delete(key);
  }
}

function compareClaims(a: Claim, b: Claim): number {
  if (a.createdAt !== b.createdAt) return a.createdAt < b.createdAt ? -1 : 1;
  return a.frontend.service < b.frontend.service ? -1 : 1;
}
