/** A load balancer on kernel maps of its own, in this process: what an agent does for Services, without all else. */
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import {
  type EndpointSliceObject,
  objectKey,
  parseEndpointSlice,
  parseService,
  type ServiceAlgorithm,
  type ServiceObject,
} from '@sluice/kube';
import { maglevRowsForAll, type ServiceMaps, startLoadBalancer } from '@sluice/loadbalancer';
import { silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';

/** Of the incumbent's defaults, and ours. */
export const maglevSettings = { tableSize: 16_381, seed: 0x24b7_ef82 };

export type LocalServices = ReturnType<typeof localServices>;

/** Default: on maps that go with it. */
export function localServices(algorithm: ServiceAlgorithm, given?: ServiceMaps) {
  const stack = new AsyncDisposableStack();
  const create = <Key, Value>(descriptor: MapDescriptor<Key, Value>, maxEntries = descriptor.maxEntries) => {
    const sizes = { keySize: descriptor.key.size, valueSize: descriptor.value.size, maxEntries };
    return openMap(stack.use(BpfMap.create({ ...descriptor, ...sizes })), descriptor);
  };
  const maps: ServiceMaps = given ?? {
    frontends: create(frontendsMap),
    slots: create(slotsMap),
    backends: create(backendsMap),
    sourceRanges: create(sourceRangesMap),
    maglev: create(maglevMap, maglevRowsForAll),
  };
  const services = new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {}, sources: ['bench'] });
  const endpointSlices = new Table<EndpointSliceObject>({
    name: 'slices',
    key: objectKey,
    columns: {},
    sources: ['bench'],
    indexes: { service: ({ namespace, serviceName }) => [`${namespace}/${serviceName}`] },
  });
  const viewpoint = { nodeName: 'bench', externalIps: true, algorithm };
  const options = { services, endpointSlices, viewpoint, maps, maglev: maglevSettings, log: silentLogger };
  const { reconciler } = stack.use(startLoadBalancer(options));
  return {
    maps,
    /** All of them at once, as the API's lists would tell, and in the kernel when it returns. */
    async fill(count: number, endpoints: number): Promise<void> {
      services.replaceAll(Array.from({ length: count }, (_, index) => service(index)));
      endpointSlices.replaceAll(Array.from({ length: count }, (_, index) => slice(index, addresses(index, endpoints))));
      services.markInitialized('bench');
      endpointSlices.markInitialized('bench');
      await reconciler.flush();
    },
    /** Its endpoints from now on; in the kernel when it returns. */
    async change(index: number, endpoints: readonly string[]): Promise<void> {
      endpointSlices.upsert(slice(index, endpoints));
      await reconciler.flush();
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

export const firstNodePort = 30_000;

/** Up to 2^16 services of up to 2^8 endpoints, or one of as many as there are addresses. */
export function addresses(service: number, count: number): string[] {
  return Array.from({ length: count }, (_, index) => {
    const number = service * 256 + index;
    return `10.${176 + (number >> 16)}.${(number >> 8) & 0xff}.${number & 0xff}`;
  });
}

function service(index: number): ServiceObject {
  return parseService({
    metadata: { namespace: 'bench', name: `s${index}`, creationTimestamp: '2026-01-01T00:00:00Z' },
    spec: {
      type: 'NodePort',
      clusterIPs: [`10.96.${index >> 8}.${index & 0xff}`],
      ports: [{ port: 80, nodePort: firstNodePort + index }],
    },
  });
}

function slice(index: number, endpoints: readonly string[]): EndpointSliceObject {
  return parseEndpointSlice({
    metadata: { namespace: 'bench', name: `s${index}-1`, labels: { 'kubernetes.io/service-name': `s${index}` } },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints: endpoints.map((address) => ({ addresses: [address] })),
  });
}
