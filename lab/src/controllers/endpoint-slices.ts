import { isDeepStrictEqual } from 'node:util';
import type { EndpointSlice, Pod, Service, SliceEndpoint, Store } from '../apiserver/index.ts';
import { type DesiredSlice, desiredSlices } from './desired-slices.ts';
import { Loop, stopAll } from './loop.ts';
import { controllerReference, fromKey, isPodOver, isPodReady, keyOf } from './objects.ts';

const slices = 'endpointslices.discovery.k8s.io';
const serviceLabel = 'kubernetes.io/service-name';
const managedBy = { 'endpointslice.kubernetes.io/managed-by': 'endpointslice-controller.k8s.io' };

/** Writes the endpoint slices of services that have a selector. Slices that somebody else manages are left alone. */
export function startEndpointSliceController(store: Store, log: (message: string) => void): Disposable {
  const loop = new Loop('endpoint slice controller', (key) => reconcile(store, key), log);
  const services = store.watch('services', ({ type, object }) => {
    if (type !== 'DELETED') loop.mark(keyOf(object));
  });
  const pods = store.watch('pods', ({ type, object, previous }) => {
    if (type === 'MODIFIED' && previous && isDeepStrictEqual(facts(object), facts(previous))) return;
    for (const service of store.list('services', { namespace: object.metadata.namespace })) {
      const isBackend = isSelected(service, object) || (previous !== undefined && isSelected(service, previous));
      if (isBackend) loop.mark(keyOf(service));
    }
  });
  const own = store.watch(slices, ({ type, object }) => {
    const service = object.metadata.labels?.[serviceLabel];
    if (type !== 'ADDED' && service && isOurs(object)) loop.mark(`${object.metadata.namespace}/${service}`);
  });
  return stopAll([loop, services, pods, own]);
}

/** What slices say of a pod: other changes, such as a heartbeat, do not touch them. */
function facts(pod: Pod): unknown[] {
  const { labels, deletionTimestamp } = pod.metadata;
  const { nodeName, hostname, subdomain } = pod.spec;
  return [labels, deletionTimestamp, nodeName, hostname, subdomain, pod.status.podIPs, isPodReady(pod), isPodOver(pod)];
}

function isSelected({ spec }: Service, { metadata }: Pod): boolean {
  const selector = Object.entries(spec.selector ?? {});
  return selector.length > 0 && selector.every(([key, value]) => metadata.labels?.[key] === value);
}

function isOurs(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === 'endpointslice-controller.k8s.io';
}

function reconcile(store: Store, key: string): void {
  const { namespace, name } = fromKey(key);
  const service = store.get('services', name, namespace);
  if (!service || service.metadata.deletionTimestamp) return;
  const present = store
    .list(slices, { namespace })
    .filter((slice) => isOurs(slice) && slice.metadata.labels?.[serviceLabel] === name);
  const isSelecting = Object.keys(service.spec.selector ?? {}).length > 0 && service.spec.type !== 'ExternalName';
  if (!isSelecting) {
    for (const slice of present) store.delete(slices, slice.metadata);
    return;
  }
  const pods = store.list('pods', { namespace }).filter((pod) => isSelected(service, pod));
  apply(store, service, { present, desired: desiredSlices(service, pods) });
}

/** Keeps a slice for the desired one it shares most endpoints with, so that a change touches few slices. */
function apply(
  store: Store,
  service: Service,
  { present, desired }: { present: readonly EndpointSlice[]; desired: readonly DesiredSlice[] },
): void {
  const free = new Set(present);
  const labels = {
    ...service.metadata.labels,
    ...(service.spec.clusterIP === 'None' && { 'service.kubernetes.io/headless': '' }),
    [serviceLabel]: service.metadata.name,
    ...managedBy,
  };
  for (const wanted of desired) {
    const match = closest([...free], wanted);
    if (!match) {
      store.create(slices, {
        metadata: {
          generateName: `${service.metadata.name}-`,
          namespace: service.metadata.namespace ?? '',
          labels,
          ownerReferences: [controllerReference(service)],
        },
        ...wanted,
      });
      continue;
    }
    free.delete(match);
    store.modify(slices, match.metadata, (draft) => {
      Object.assign(draft, wanted);
      draft.metadata.labels = labels;
    });
  }
  for (const slice of free) store.delete(slices, slice.metadata);
}

function closest(candidates: readonly EndpointSlice[], wanted: DesiredSlice): EndpointSlice | undefined {
  const addresses = new Set(wanted.endpoints.map(firstAddress));
  const shared = (slice: EndpointSlice) =>
    slice.endpoints.filter((endpoint) => addresses.has(firstAddress(endpoint))).length;
  return candidates
    .filter((slice) => slice.addressType === wanted.addressType)
    .sort((a, b) => shared(b) - shared(a))[0];
}

function firstAddress(endpoint: SliceEndpoint): string {
  return endpoint.addresses[0] ?? '';
}
