import {
  type EndpointSliceObject,
  type EventRecorder,
  type KubeClient,
  objectKey,
  parseEndpointSlice,
  parseService,
  reflector,
  resources,
  type ServiceObject,
  type Trouble,
  tellTroubles,
} from '@sluice/kube';
import {
  deriveServices,
  ExternalIpGuard,
  type ExternalIpRules,
  type FrontendConflict,
  guardedViewpoint,
  invalid,
  type ServiceSources,
  serviceTroubles,
  type Viewpoint,
} from '@sluice/loadbalancer';
import type { Clock, Logger } from '@sluice/runtime';
import { type Controllers, Table } from '@sluice/state';
import { watchTroubles } from './cluster.ts';
import type { MarkedNode } from './node-marks/marked-node.ts';

export interface ServiceEventsOptions {
  readonly client: KubeClient;
  readonly events: EventRecorder;
  readonly controllers: Controllers;
  readonly log: Logger;
  readonly clock: Clock;
  /** Of no node: what is told is the same on every one. */
  readonly viewpoint: Viewpoint;
  /** Which external addresses are whose. */
  readonly nodes: Table<MarkedNode>;
  readonly rules: ExternalIpRules;
}

export interface ServiceEvents extends AsyncDisposable {
  /** What cannot be listed or watched, and why. */
  troubles(): string[];
}

/** What of a slice this is about: 250,000 endpoints have no place here. */
type SliceProblems = Pick<EndpointSliceObject, 'namespace' | 'name' | 'uid' | 'problems'>;

/**
 * Events on Services and EndpointSlices of which something is not served. Every agent sees the same; the operator alone
 * tells it, so that a cluster of a thousand nodes writes one event and not a thousand.
 */
export function startServiceEvents(options: ServiceEventsOptions): ServiceEvents {
  const { client, events, controllers, log, clock, nodes, rules } = options;
  const services = serviceTable();
  const guard = new ExternalIpGuard({ rules, services, nodes });
  const viewpoint = guardedViewpoint(options.viewpoint, guard);
  const slices = sliceTable();
  const common = { client, log, clock };
  const watches = [
    reflector({
      ...common,
      resource: resources.services,
      parse: parseService,
      table: services,
      source: 'services',
    }),
    reflector({
      ...common,
      resource: resources.endpointSlices,
      parse: sliceProblems,
      table: slices,
      source: 'endpointslices',
    }),
  ];
  const conflicts = conflictsOf(services, { viewpoint, externalIpGuard: guard });
  const isKnown = () => [services, slices, nodes].every(({ initialized }) => initialized);
  const find = remembered(
    () =>
      [services, slices, guard]
        .map(({ revision }) => revision)
        .join(' ')
        .concat(isKnown() ? ' known' : ''),
    () => (isKnown() ? findTroubles({ services, slices, conflicts: conflicts.table, viewpoint }) : []),
  );
  const teller = tellTroubles({ name: 'service-events', find, recorder: events, controllers, clock });
  for (const watch of watches) watch.start();
  Promise.all(watches.map((watch) => watch.synced())).then(
    () => teller.trigger(),
    // Stopped before.
    () => undefined,
  );
  return {
    troubles: () => watchTroubles(watches),
    async [Symbol.asyncDispose]() {
      await teller.stop();
      await Promise.all(watches.map((watch) => watch.stop()));
      conflicts[Symbol.dispose]();
      guard[Symbol.dispose]();
    },
  };
}

interface Found {
  readonly services: Table<ServiceObject>;
  readonly slices: Table<SliceProblems>;
  readonly conflicts: Table<FrontendConflict>;
  readonly viewpoint: Viewpoint;
}

function findTroubles({ services, slices, conflicts, viewpoint }: Found): Trouble[] {
  return [
    ...services
      .list()
      .flatMap((service) => serviceTroubles(service, conflicts.by('service', objectKey(service)), viewpoint)),
    ...slices.list().flatMap(sliceTroubles),
  ];
}

function sliceTroubles({ namespace, name, uid, problems }: SliceProblems): Trouble[] {
  const object = { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', namespace, name, uid };
  return invalid(problems).map((message) => ({ object, reason: 'InvalidEndpointSlice', message }));
}

function sliceProblems(object: unknown): SliceProblems {
  const { namespace, name, uid, problems } = parseEndpointSlice(object);
  return { namespace, name, uid, problems };
}

/** Who claims what does not depend on backends: without slices the whole cluster's frontends are small. */
function conflictsOf(
  services: Table<ServiceObject>,
  sources: Pick<ServiceSources, 'viewpoint' | 'externalIpGuard'>,
): { table: Table<FrontendConflict> } & Disposable {
  const endpointSlices = new Table<EndpointSliceObject>({
    name: 'no-slices',
    key: objectKey,
    columns: {},
    indexes: { service: () => [] },
    sources: ['none'],
  });
  endpointSlices.markInitialized('none');
  const derived = deriveServices({ services, endpointSlices, ...sources });
  return { table: derived.conflicts, [Symbol.dispose]: () => derived[Symbol.dispose]() };
}

/** The same answer until the revision is another one. */
function remembered<Value>(revision: () => string, find: () => Value): () => Value {
  let known: { readonly revision: string; readonly value: Value } | undefined;
  return () => {
    if (known?.revision !== revision()) known = { revision: revision(), value: find() };
    return known.value;
  };
}

function serviceTable(): Table<ServiceObject> {
  return new Table<ServiceObject>({
    name: 'services',
    key: objectKey,
    sources: ['services'],
    columns: { Name: objectKey },
  });
}

function sliceTable(): Table<SliceProblems> {
  return new Table<SliceProblems>({
    name: 'endpointslices',
    key: objectKey,
    sources: ['endpointslices'],
    columns: { Name: objectKey },
  });
}
