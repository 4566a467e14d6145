import { join } from 'node:path';
import { writeFileAtomic } from '@sluice/runtime';
import type { EndpointSlice, Service, Store } from '../apiserver/index.ts';

const gatherMs = 20;

export interface DnsZoneOptions {
  readonly domain: string;
  /** Addresses of names outside the cluster, which a real name server would ask somebody else for. */
  readonly outside: Readonly<Record<string, readonly string[]>>;
}

/** Writes the cluster's names for the lab's name servers, anew whenever a service or its endpoints change. */
export function startDnsZone(store: Store, directory: string, { domain, outside }: DnsZoneOptions): Disposable {
  let timer: NodeJS.Timeout | undefined;
  let written: string | undefined;
  const write = () => {
    timer = undefined;
    const cluster = zoneText(store.list('services'), store.list('endpointslices.discovery.k8s.io'), domain);
    const text = `${cluster}${outsideText(outside)}`;
    if (text !== written) writeFileAtomic(join(directory, `${domain}.zone`), text, { mode: 0o644 });
    written = text;
  };
  const changed = () => {
    timer ??= setTimeout(write, gatherMs);
  };
  write();
  const watches = [store.watch('services', changed), store.watch('endpointslices.discovery.k8s.io', changed)];
  return {
    [Symbol.dispose]: () => {
      clearTimeout(timer);
      for (const watch of watches) watch[Symbol.dispose]();
    },
  };
}

/** The records that the Kubernetes DNS specification asks for (https://github.com/kubernetes/dns, docs/specification.md). */
export function zoneText(services: readonly Service[], slices: readonly EndpointSlice[], domain: string): string {
  const slicesOf = Map.groupBy(
    slices,
    ({ metadata }) => `${metadata.namespace}/${metadata.labels?.['kubernetes.io/service-name'] ?? ''}`,
  );
  const lines = services.flatMap((service) => {
    const { name, namespace } = service.metadata;
    const full = `${name}.${namespace}.svc.${domain}`;
    const addresses = (service.spec.clusterIPs ?? []).filter((address) => address !== 'None' && address !== '');
    if (addresses.length > 0) return addressedRecords(service, full, addresses);
    return headlessRecords(service, full, slicesOf.get(`${namespace}/${name}`) ?? []);
  });
  return `${[...new Set(lines)].join('\n')}\n`;
}

export function outsideText(names: DnsZoneOptions['outside']): string {
  return Object.entries(names)
    .flatMap(([name, addresses]) => addresses.map((address) => `${addressRecord(name, address)}\n`))
    .join('');
}

function addressedRecords(service: Service, full: string, addresses: readonly string[]): string[] {
  return [
    ...addresses.map((address) => addressRecord(full, address)),
    ...addresses.map((address) => `${reverseName(address)} PTR ${full}`),
    ...(service.spec.ports ?? [])
      .filter(({ name }) => name)
      .map(
        ({ name, protocol = 'TCP', port }) => `_${name}._${protocol.toLowerCase()}.${full} SRV 0 100 ${port} ${full}`,
      ),
  ];
}

function headlessRecords(service: Service, full: string, slices: readonly EndpointSlice[]): string[] {
  return slices
    .filter(({ addressType }) => addressType !== 'FQDN')
    .flatMap((slice) =>
      slice.endpoints
        .filter(({ conditions }) => conditions?.ready !== false || service.spec.publishNotReadyAddresses)
        .flatMap(({ hostname, addresses }) =>
          addresses.flatMap((address) => {
            const own = `${hostname ?? address.replaceAll(/[.:]/g, '-')}.${full}`;
            const ports = (slice.ports ?? [])
              .filter(({ name }) => name)
              .map(
                ({ name, protocol = 'TCP', port }) =>
                  `_${name}._${protocol.toLowerCase()}.${full} SRV 0 100 ${port} ${own}`,
              );
            return [
              addressRecord(full, address),
              addressRecord(own, address),
              `${reverseName(address)} PTR ${own}`,
              ...ports,
            ];
          }),
        ),
    );
}

function addressRecord(name: string, address: string): string {
  return `${name} ${address.includes(':') ? 'AAAA' : 'A'} ${address}`;
}

/** The name under which an address is looked up backwards (RFC 1035 3.5, RFC 3596 2.5). */
export function reverseName(address: string): string {
  if (!address.includes(':')) return `${address.split('.').toReversed().join('.')}.in-addr.arpa`;
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail ? tail.split(':') : [];
  const groups = [...left, ...Array(8 - left.length - right.length).fill('0'), ...right];
  const digits = groups.map((group) => group.padStart(4, '0')).join('');
  return `${[...digits].toReversed().join('.')}.ip6.arpa`;
}
