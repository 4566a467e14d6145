import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix } from '@sluice/net';
import fc from 'fast-check';
import { MalformedObjectError } from '../field.ts';
import { parseEndpointSlice, parseNode, parsePod, parseService, parseServiceCidr } from '../index.ts';
import { parseLease } from './lease.ts';

const metadata = { name: 'web', namespace: 'shop', uid: 'u' };
const service = (spec: object, more: object = {}) => parseService({ metadata, spec, ...more });
const slice = (more: object) => parseEndpointSlice({ metadata, addressType: 'IPv4', ...more });

test('a service row has what its traffic needs', () => {
  const row = parseService({
    metadata: { ...metadata, annotations: { 'service.cilium.io/global': 'true', 'kubectl/last': 'x' } },
    spec: {
      type: 'LoadBalancer',
      clusterIP: '10.96.0.7',
      clusterIPs: ['10.96.0.7', 'FD00:10:96::7'],
      externalIPs: ['10.10.30.50'],
      ports: [
        { name: 'http', port: 80, targetPort: 'web', nodePort: 30080 },
        { name: 'dns', port: 53, targetPort: 5353, protocol: 'UDP', nodePort: 0 },
      ],
      sessionAffinity: 'ClientIP',
      externalTrafficPolicy: 'Local',
      healthCheckNodePort: 32000,
      loadBalancerSourceRanges: ['10.0.0.0/8', ' 192.168.1.7/24 '],
    },
    status: { loadBalancer: { ingress: [{ ip: '10.10.30.240' }, { ip: '10.10.30.241', ipMode: 'Proxy' }] } },
  });
  assert.deepEqual(row.problems, []);
  assert.deepEqual(row.clusterIps, ['10.96.0.7', 'fd00:10:96::7']);
  assert.deepEqual(row.ports[0], {
    name: 'http',
    protocol: 'TCP',
    port: 80,
    targetPort: 'web',
    nodePort: 30080,
    appProtocol: undefined,
  });
  assert.equal(row.ports[1]?.nodePort, undefined);
  assert.equal(row.affinityTimeoutSeconds, 10_800);
  assert.deepEqual(row.annotations, { 'service.cilium.io/global': 'true' });
  assert.deepEqual(
    row.loadBalancerIngress.map(({ ipMode }) => ipMode),
    ['VIP', 'Proxy'],
  );
  assert.deepEqual(row.loadBalancerSourceRanges?.map(formatPrefix), ['10.0.0.0/8', '192.168.1.0/24']);
  assert.equal(row.headless, false);
});

test('source ranges of which none can be read let nobody in, rather than everybody', () => {
  const ranges = (given: unknown) => service({ loadBalancerSourceRanges: given }).loadBalancerSourceRanges;
  assert.deepEqual([ranges(undefined), ranges([])], [undefined, undefined]);
  assert.deepEqual([ranges(['x']), ranges('10.0.0.0/8')], [[], []]);
});

test('an algorithm that nobody knows is told, and the values decide', () => {
  const asked = (text: string) =>
    parseService({ metadata: { ...metadata, annotations: { 'service.cilium.io/lb-algorithm': text } }, spec: {} });
  assert.deepEqual([asked('maglev').algorithm, service({}).algorithm], ['maglev', undefined]);
  const wrong = asked('Maglev');
  assert.equal(wrong.algorithm, undefined);
  assert.match(wrong.problems.join(), /lb-algorithm.*"Maglev" is none of random, maglev/);
});

test('an annotation may say who answers clients outside; another word is a problem', () => {
  const mode = (word: unknown) => {
    const annotations = { 'service.cilium.io/forwarding-mode': word };
    return parseService({ metadata: { namespace: 'shop', name: 'web', annotations }, spec: {} });
  };
  assert.deepEqual(
    ['dsr', 'snat', 'hybrid'].map((word) => mode(word).forwardingMode),
    ['dsr', 'snat', undefined],
  );
  assert.deepEqual(mode('hybrid').problems, [
    'metadata.annotations.service.cilium.io/forwarding-mode: "hybrid" is none of snat, dsr',
  ]);
});

test('a headless service has no addresses, and that is no problem', () => {
  for (const spec of [{ clusterIP: 'None' }, { clusterIP: 'None', clusterIPs: ['None'] }]) {
    const row = service(spec);
    assert.ok(row.headless);
    assert.deepEqual([row.clusterIps, row.problems], [[], []]);
  }
});

test('each unusable part of a service is named with its path, and the rest stays', () => {
  const row = service({
    type: 'Cluster',
    clusterIPs: ['10.96.0.300', '10.96.0.1', '10.96.0.1', '::ffff:10.0.0.1'],
    ports: [
      { port: 0 },
      { port: 70000 },
      { port: '80' },
      {},
      { port: 80, protocol: 'ICMP' },
      { port: 81 },
      { port: 81 },
      { port: 81, protocol: 'UDP', nodePort: 99999 },
    ],
    sessionAffinity: 'ClientIP',
    sessionAffinityConfig: { clientIP: { timeoutSeconds: 0 } },
    externalTrafficPolicy: 'Globe',
  });
  assert.deepEqual(row.clusterIps, ['10.96.0.1']);
  assert.deepEqual(
    row.ports.map(({ port, protocol }) => `${port}/${protocol}`),
    ['81/TCP', '81/UDP'],
  );
  assert.equal(row.affinityTimeoutSeconds, 10_800);
  assert.deepEqual(row.problems, [
    'spec.type: "Cluster" is none of ClusterIP, NodePort, LoadBalancer, ExternalName',
    'spec.clusterIPs[0]: "10.96.0.300" is not an IP address',
    'spec.clusterIPs[2]: 10.96.0.1 is there twice',
    'spec.clusterIPs[3]: "::ffff:10.0.0.1" is not an IP address',
    'spec.ports[0].port: 0 is not a port (1 to 65535)',
    'spec.ports[1].port: 70000 is not a port (1 to 65535)',
    'spec.ports[2].port: "80" is not a port (1 to 65535)',
    'spec.ports[3]: a port without a number',
    'spec.ports[4].protocol: "ICMP" is none of TCP, UDP, SCTP',
    'spec.ports[6]: 81/TCP is there twice',
    'spec.ports[7].nodePort: 99999 is not a port (1 to 65535)',
    'spec.sessionAffinityConfig.clientIP.timeoutSeconds: 0 is not a whole number from 1 to 86400',
    'spec.externalTrafficPolicy: "Globe" is none of Cluster, Local',
  ]);
});

test('the conditions of an endpoint have the defaults of discovery.k8s.io/v1', () => {
  const conditions = [{}, { ready: false }, { ready: false, serving: true, terminating: true }, { ready: null }];
  const row = slice({
    endpoints: conditions.map((each, index) => ({ addresses: [`10.0.0.${index + 1}`], conditions: each })),
  });
  assert.deepEqual(
    row.endpoints.map(({ ready, serving, terminating }) => [ready, serving, terminating]),
    [
      [true, true, false],
      [false, false, false],
      [false, true, true],
      [true, true, false],
    ],
  );
});

test('an endpoint knows its service, node, zone, hints and pod', () => {
  const row = parseEndpointSlice({
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv6',
    ports: [{ name: 'http', port: 8080 }],
    endpoints: [
      {
        addresses: ['fd00::5'],
        nodeName: 'n1',
        zone: 'z',
        hints: { forZones: [{ name: 'z' }], forNodes: [{ name: 'n1' }] },
        targetRef: { kind: 'Pod', namespace: 'shop', name: 'web-1', uid: 'x' },
      },
    ],
  });
  assert.equal(row.serviceName, 'web');
  assert.deepEqual(row.problems, []);
  assert.deepEqual(row.endpoints[0]?.pod, { namespace: 'shop', name: 'web-1' });
  assert.deepEqual([row.endpoints[0]?.zoneHints, row.endpoints[0]?.nodeHints], [['z'], ['n1']]);
});

test('addresses that cannot be endpoints are left out', () => {
  const addresses = ['0.0.0.0', '127.0.0.1', '169.254.1.1', '224.0.0.1', 'fd00::1', '10.0.0.1', '10.0.0.1', 'x'];
  const row = slice({ endpoints: addresses.map((address) => ({ addresses: [address] })) });
  assert.deepEqual(
    row.endpoints.map((endpoint) => endpoint.addresses),
    [['10.0.0.1']],
  );
  assert.equal(row.problems.length, 7);
  assert.equal(row.problems[4], 'endpoints[4].addresses[0]: fd00::1 is not an IPv4 address');
  assert.equal(row.problems[6], 'endpoints[7].addresses[0]: "x" is not an IP address');
});

test('what can be an endpoint is told from what cannot up to the last address', () => {
  const kept = (addressType: string, addresses: string[]) =>
    parseEndpointSlice({ metadata, addressType, endpoints: [{ addresses }] }).endpoints.flatMap(
      (each) => each.addresses,
    );
  const good4 = [
    '0.0.0.1',
    '126.255.255.255',
    '128.0.0.0',
    '169.253.1.1',
    '169.255.0.0',
    '223.255.255.255',
    '240.0.0.0',
  ];
  const bad4 = ['0.0.0.0', '127.255.255.255', '169.254.255.255', '224.0.0.0', '239.255.255.255', '255.255.255.255'];
  assert.deepEqual(kept('IPv4', [...good4, ...bad4]), good4);
  const good6 = ['::2', '::1:1', 'fe7f::1', 'fec0::1', 'fe8::1', 'ff::1', 'feff::1', '2001:db8::ff02'];
  const bad6 = ['::', '::1', 'fe80::1', 'febf::1', 'ff00::', 'ff02::1', 'ffff::1'];
  assert.deepEqual(kept('IPv6', [...good6, ...bad6]), good6);
});

test('a slice of an unknown family has no endpoints and says so', () => {
  const row = slice({ addressType: 'FQDN', endpoints: [{ addresses: ['example.org'] }] });
  assert.deepEqual([row.addressType, row.endpoints], [undefined, []]);
  assert.deepEqual(row.problems, ['addressType: "FQDN" is none of IPv4, IPv6']);
});

test('the problems of one object are bounded', () => {
  const row = slice({ endpoints: Array.from({ length: 1000 }, () => ({ addresses: ['x'] })) });
  assert.equal(row.problems.length, 20);
});

test('a node has addresses and pod CIDRs of both families', () => {
  const row = parseNode({
    metadata: { name: 'n1', labels: { 'topology.kubernetes.io/zone': 'z' } },
    spec: { podCIDR: '10.244.1.0/24', podCIDRs: ['10.244.1.0/24', 'fd00:10:244:1::/64'] },
    status: {
      addresses: [
        { type: 'InternalIP', address: '10.10.30.101' },
        { type: 'InternalIP', address: 'fd00:10:10:30::101' },
        { type: 'Hostname', address: 'n1' },
        { type: 'ExternalIP', address: 'nonsense' },
      ],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  assert.deepEqual(
    row.addresses.map(({ address }) => address),
    ['10.10.30.101', 'fd00:10:10:30::101'],
  );
  assert.deepEqual(
    row.podCidrs.map(({ length }) => length),
    [24, 64],
  );
  assert.deepEqual([row.ready, row.zone], [true, 'z']);
  assert.deepEqual(row.problems, ['status.addresses[3].address: "nonsense" is not an IP address']);
});

test('an older server that has only podCIDR and podIP is understood', () => {
  const node = parseNode({ metadata: { name: 'n' }, spec: { podCIDR: '10.244.1.0/24' } });
  assert.equal(node.podCidrs.length, 1);
  assert.deepEqual(parseNode({ metadata: { name: 'n' }, spec: {} }).podCidrs, []);
  const pod = parsePod({ metadata, status: { podIP: '10.244.1.5', phase: 'Running' } });
  assert.deepEqual(pod.podIps, ['10.244.1.5']);
});

test('a pod has its host ports, those of sidecars too', () => {
  const row = parsePod({
    metadata,
    spec: {
      nodeName: 'n1',
      initContainers: [
        { restartPolicy: 'Always', ports: [{ containerPort: 15000 }] },
        { ports: [{ containerPort: 1 }] },
      ],
      containers: [{ ports: [{ name: 'http', containerPort: 8080, hostPort: 80, hostIP: '0.0.0.0' }] }],
    },
    status: {
      phase: 'Running',
      podIPs: [{ ip: '10.244.1.5' }, { ip: 'fd00::5' }],
      conditions: [{ type: 'Ready', status: 'True' }],
    },
  });
  assert.deepEqual(
    row.ports.map(({ port, hostPort, hostIp }) => [port, hostPort, hostIp]),
    [
      [15000, undefined, undefined],
      [8080, 80, undefined],
    ],
  );
  assert.deepEqual([row.podIps.length, row.ready, row.problems], [2, true, []]);
});

test('service CIDRs and leases', () => {
  const cidr = parseServiceCidr({
    metadata: { name: 'kubernetes' },
    spec: { cidrs: ['10.96.0.0/16', 'fd00:10:96::/112'] },
  });
  assert.deepEqual(
    cidr.cidrs.map(({ length }) => length),
    [16, 112],
  );
  const lease = parseLease({ metadata, spec: { holderIdentity: 'me', renewTime: '2026-01-01T00:00:00.000001Z' } });
  assert.deepEqual([lease.holder, lease.renewedAt], ['me', Date.UTC(2026, 0, 1)]);
});

test('an object without a name, or of another kind, is refused by name', () => {
  assert.throws(() => parseService(null), MalformedObjectError);
  assert.throws(() => parseService({ metadata: { namespace: 'a' } }), /Service without metadata.name/);
  assert.throws(() => parseService({ metadata: { name: 'a' } }), /Service a without metadata.namespace/);
  assert.throws(() => parseService({ kind: 'Pod', metadata }), /shop\/web is a Pod, not a Service/);
});

test('whatever an object holds, its parser gives a row or a MalformedObjectError', () => {
  const parsers = [parseService, parseEndpointSlice, parseNode, parsePod, parseServiceCidr, parseLease];
  const part = fc.jsonValue({ maxDepth: 5 });
  const object = fc.record({
    metadata: fc.oneof(fc.constant(metadata), part),
    addressType: fc.constantFrom('IPv4', 'IPv6', 5),
    endpoints: fc.array(
      fc.record({ addresses: part, conditions: part, hints: part, targetRef: part }, { requiredKeys: [] }),
    ),
    ports: part,
    spec: fc.oneof(part, fc.record({ ports: part, clusterIPs: part, containers: part, podCIDRs: part })),
    status: fc.oneof(part, fc.record({ addresses: part, loadBalancer: part, podIPs: part })),
  });
  fc.assert(
    fc.property(object, (value) => {
      for (const parse of parsers) {
        try {
          const row = parse(value);
          for (const problem of row.problems) assert.match(problem, /^[^:]+.*: /);
        } catch (error) {
          assert.ok(error instanceof MalformedObjectError, String(error));
        }
      }
    }),
    { numRuns: 300 },
  );
});
