/** Random Services with their EndpointSlices, as the API could have them, and who asks them. */
import { type EndpointSliceObject, parseEndpointSlice, parseService, type ServiceObject } from '@sluice/kube';
import { parseAddress } from '@sluice/net';
import fc from 'fast-check';
import type { Viewpoint } from '../src/desired.ts';
import { type ApiService, type ApiSlice, type Asked, familyOf, type ModelClient, type World } from './service-model.ts';

const addresses = {
  cluster: ['10.96.0.5', 'fd00:10:96::5'],
  balancer: ['203.0.113.5', '2001:db8:5::5'],
  external: ['198.51.100.7', '2001:db8:7::7'],
  node: ['10.10.30.1', 'fd00:10:10:30::1'],
  nobody: ['10.96.9.9', 'fd00:10:96::99'],
} as const;

/** Of a node n1, which is asked. */
export const modelClients: readonly ModelClient[] = [
  { kind: 'pod', address: '10.244.1.200' },
  { kind: 'pod', address: 'fd00:10:244:1::200' },
  { kind: 'node', address: '10.244.1.1' },
  { kind: 'node', address: 'fd00:10:244:1::1' },
  { kind: 'outside', address: '192.0.2.1' },
  { kind: 'outside', address: '203.0.113.99' },
  { kind: 'outside', address: '2001:db8::1' },
  { kind: 'outside', address: '2001:db9::1' },
];

/** Everything that may be asked, by whoever can. */
export function questions(): { readonly asked: Asked; readonly client: ModelClient }[] {
  const places = Object.values(addresses).flat();
  return places.flatMap((address) =>
    [80, 53, 81, 30_080, 30_053].flatMap((port) =>
      (['TCP', 'UDP'] as const).flatMap((protocol) =>
        modelClients
          .filter((client) => familyOf(client.address) === familyOf(address))
          .map((client) => ({ asked: { address, port, protocol }, client })),
      ),
    ),
  );
}

const policy = fc.constantFrom('Cluster', 'Local', undefined);
const rarely = (value: string) =>
  fc.oneof({ weight: 15, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: fc.constant(value) });
const flag = fc.constantFrom(true, false, undefined);

const ranges = fc.subarray([
  ...['192.0.2.0/24', '203.0.113.99/32', '10.244.0.0/16', '10.10.30.0/24', '2001:db8::/64', 'fd00::/8', '0.0.0.0/0'],
]);

const service: fc.Arbitrary<ApiService> = fc
  .record({
    type: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom('ClusterIP', 'NodePort', 'LoadBalancer', 'LoadBalancer') },
      { weight: 1, arbitrary: fc.constant('ExternalName' as const) },
    ),
    clusterIPs: fc.oneof(
      { weight: 12, arbitrary: fc.subarray([...addresses.cluster], { minLength: 1 }) },
      { weight: 1, arbitrary: fc.constant(['None']) },
    ),
    externalIPs: fc.subarray([...addresses.external]),
    ports: fc.subarray(
      [
        { name: 'http', protocol: 'TCP', port: 80, nodePort: 30_080 },
        { name: 'dns', protocol: 'UDP', port: 53, nodePort: 30_053 },
        { name: 'dns-tcp', protocol: 'TCP', port: 53, nodePort: 30_053 },
        { name: 'sctp', protocol: 'SCTP', port: 81, nodePort: 30_081 },
      ] as const,
      { minLength: 1 },
    ),
    hasNodePorts: fc.boolean(),
    internalTrafficPolicy: policy,
    externalTrafficPolicy: policy,
    loadBalancerSourceRanges: fc.option(ranges, { nil: undefined }),
    healthCheckNodePort: fc.constantFrom(32_000, undefined),
    publishNotReadyAddresses: flag,
    trafficDistribution: fc.constantFrom('PreferClose', 'PreferSameNode', undefined),
    sessionAffinity: fc.constantFrom('None', 'ClientIP', undefined),
    timeoutSeconds: fc.constantFrom(1, 60, 86_400, undefined),
    proxyName: rarely('service.kubernetes.io/service-proxy-name'),
    headless: rarely('service.kubernetes.io/headless'),
    ingress: fc.subarray(
      addresses.balancer.map((ip) => ip),
      { minLength: 0 },
    ),
    ipMode: fc.constantFrom('VIP', 'Proxy', undefined, undefined),
  })
  .map(({ hasNodePorts, proxyName, headless, ingress, ipMode, timeoutSeconds, ...spec }): ApiService => {
    const isOpen = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
    const labels = [proxyName, headless].filter((label) => label !== undefined).map((label) => [label, 'x']);
    const withNodePorts = spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && hasNodePorts);
    const ports = spec.ports.map(({ nodePort, ...port }) => (withNodePorts ? { ...port, nodePort } : port));
    const more = timeoutSeconds === undefined ? {} : { sessionAffinityConfig: { clientIP: { timeoutSeconds } } };
    return {
      labels: Object.fromEntries(labels),
      spec: defined({
        ...{ ...spec, ...more, ports },
        // The API server sets it only where it means something.
        externalTrafficPolicy: isOpen || spec.externalIPs.length > 0 ? spec.externalTrafficPolicy : undefined,
      }),
      ingress: spec.type === 'LoadBalancer' ? ingress.map((ip) => defined({ ip, ipMode })) : [],
    };
  });

/** Without fields that are not there. */
function defined<Fields extends object>(fields: Fields): { [Name in keyof Fields]: Exclude<Fields[Name], undefined> } {
  const there = Object.entries(fields).filter(([, value]) => value !== undefined);
  return Object.fromEntries(there) as { [Name in keyof Fields]: Exclude<Fields[Name], undefined> };
}

const poolSize = 5;
const places = fc.constantFrom('n1', 'n1', 'n2', 'n3', undefined);
const named = (names: readonly string[]) => names.map((name) => ({ name }));

/** An address has one node and one set of hints, in whatever slices it stands. */
const pool = fc
  .record({
    nodes: fc.array(places, { minLength: poolSize, maxLength: poolSize }),
    // All or none have hints, mostly: otherwise they are seldom followed.
    zonesMin: fc.constantFrom(0, 0, 1),
    nodesMin: fc.constantFrom(0, 0, 1),
  })
  .chain(({ nodes, zonesMin, nodesMin }) => {
    const hints = fc.record({
      forZones: fc.subarray(['a', 'b'], { minLength: zonesMin }).map(named),
      forNodes: fc.subarray(['n1', 'n2'], { minLength: nodesMin }).map(named),
    });
    return fc
      .array(hints, { minLength: poolSize, maxLength: poolSize })
      .map((all) =>
        nodes.map((nodeName, index) => defined({ nodeName, hints: all[index] ?? { forZones: [], forNodes: [] } })),
      );
  });

const conditions = fc.record({ ready: flag, serving: flag, terminating: flag }).map((each) => defined(each));

const sliceShape = fc.record({
  addressType: fc.constantFrom('IPv4' as const, 'IPv6' as const),
  ports: fc.subarray(
    [
      { name: 'http', protocol: 'TCP', port: 8080 },
      { name: 'dns', protocol: 'UDP', port: 5353 },
      { name: 'dns-tcp', protocol: 'TCP', port: 5353 },
      { name: 'http', protocol: 'UDP', port: 9999 },
    ],
    { minLength: 1 },
  ),
  isOtherNumber: fc.boolean(),
  members: fc.uniqueArray(fc.record({ index: fc.nat(poolSize - 1), conditions }), { selector: ({ index }) => index }),
});

export const world: fc.Arbitrary<World> = fc
  .record({
    ...{ service, pool, shapes: fc.array(sliceShape, { maxLength: 4 }), zone: fc.constantFrom('a', 'b', undefined) },
    // With one ready endpoint among many what terminates is never asked.
    isAnyReady: fc.boolean(),
  })
  .map(({ service, pool, shapes, zone, isAnyReady }) => ({
    service,
    node: { name: 'n1', zone, addresses: addresses.node },
    slices: shapes.map(({ addressType, ports, members, isOtherNumber }): ApiSlice => {
      const prefix = addressType === 'IPv4' ? '10.244.2.' : 'fd00:10:244:2::';
      return {
        addressType,
        // Pods of one service may name different numbers the same.
        ports: ports.map((port) => ({ ...port, port: port.port + (isOtherNumber ? 1 : 0) })),
        endpoints: members.map(({ index, conditions }) => ({
          addresses: [`${prefix}${index + 1}`, `${prefix}${index + 101}`],
          ...pool[index],
          conditions: isAnyReady ? conditions : { ...conditions, ready: false },
        })),
      };
    }),
  }));

/** The same world, as the product reads it. */
export function readWorld({ service, slices, node }: World): {
  readonly service: ServiceObject;
  readonly slices: readonly EndpointSliceObject[];
  readonly viewpoint: Viewpoint;
} {
  const { labels, spec, ingress } = service;
  const metadata = { namespace: 'shop', name: 'web', creationTimestamp: '2026-01-01T00:00:00Z' };
  return {
    service: parseService({ metadata: { ...metadata, labels }, spec, status: { loadBalancer: { ingress } } }),
    slices: slices.map((slice, index) =>
      parseEndpointSlice({
        metadata: { namespace: 'shop', name: `web-${index}`, labels: { 'kubernetes.io/service-name': 'web' } },
        ...slice,
      }),
    ),
    viewpoint: {
      ...{ nodeName: node.name, zone: node.zone, externalIps: true },
      nodeAddresses: node.addresses.map((address) => parseAddress(address)),
    },
  };
}
