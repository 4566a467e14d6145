import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoint } from '@sluice/endpoint';
import { parseNode, parsePod, parseService } from '@sluice/kube';
import { parseAddress, parsePrefix } from '@sluice/net';
import type { NodeRow } from '@sluice/nodes';
import { nodeTroubles, refusedElsewhere, type TroubleSources } from './troubles.ts';

const nothing: TroubleSources = {
  nodeName: 'n1',
  pods: [],
  endpoints: [],
  endpointStatus: () => undefined,
  node: undefined,
  tooSmall: '',
  hostPorts: undefined,
  refusedElsewhere: [],
  failedFrontends: [],
  failedHealthChecks: [],
  scarcePorts: [],
  service: () => undefined,
  clockAheadMs: undefined,
};

function told(sources: Partial<TroubleSources>): string[] {
  return nodeTroubles({ ...nothing, ...sources }).map(({ object, reason, message }) => {
    const { kind, namespace = '', name, uid } = object;
    return `${kind} ${namespace}/${name} ${uid} ${reason}: ${message}`;
  });
}

function pod(name: string, spec: object, more: { phase?: string; deletionTimestamp?: string } = {}) {
  const { phase = 'Running', ...metadata } = more;
  return parsePod({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { namespace: 'shop', name, uid: `uid-${name}`, ...metadata },
    spec,
    status: { phase },
  });
}

const hostPorts = [
  { containerPort: 8080, hostPort: 80 },
  { containerPort: 53, hostPort: 53, protocol: 'UDP', hostIP: '10.10.30.101' },
  { containerPort: 9000 },
];

test('a service is told of a health check port that this node cannot have', () => {
  const web = parseService({ metadata: { namespace: 'shop', name: 'web', uid: 'u' }, spec: {} });
  const problem = 'port 31000: another process has it; tried again every 10 s';
  const failedHealthChecks = [{ service: 'shop/web', port: 31_000, localEndpoints: 1, problem }];
  assert.deepEqual(told({ failedHealthChecks, service: () => web }), [
    `Service shop/web u HealthCheckNotServed: node n1 does not answer at healthCheckNodePort: ${problem}; a load balancer takes the node for one without endpoints`,
  ]);
  assert.deepEqual(told({ failedHealthChecks }), []);
});

test('a pod is told of host ports that are not served, unless it is over or has the network of the host', () => {
  const containers = [{ ports: hostPorts }];
  const pods = [
    pod('web', { containers }),
    pod('host', { containers, hostNetwork: true }),
    pod('done', { containers }, { phase: 'Succeeded' }),
    pod('leaving', { containers }, { deletionTimestamp: '2026-01-01T00:00:00Z' }),
    pod('plain', { containers: [{ ports: [{ containerPort: 80 }] }] }),
  ];
  assert.deepEqual(told({ pods }), [
    'Pod shop/web uid-web HostPortNotServed: host ports are not served: *:80/TCP for port 8080: kubeProxyReplacement is false; ' +
      '10.10.30.101:53/UDP for port 53: kubeProxyReplacement is false. The pod is reached at its own address and by Services',
  ]);
  const node = { nodeName: 'n1', nodePorts: { first: 30_000, last: 32_767 }, addresses: [], kept: [] };
  const [message] = told({ pods, hostPorts: node });
  assert.match(
    String(message),
    /not served: 10\.10\.30\.101:53\/UDP for port 53: 10\.10\.30\.101 is no address of this node/,
  );
  assert.deepEqual(told({ pods, hostPorts: { ...node, addresses: [parseAddress('10.10.30.101')] } }), []);
});

test('a pod whose interface cannot be connected is told the error', () => {
  const endpoint = { hostName: 'slc0123456789', pod: { namespace: 'shop', name: 'web' } } as unknown as Endpoint;
  const foreign = { ...endpoint, pod: { namespace: 'shop', name: 'unknown' } } as unknown as Endpoint;
  const status = { state: 'error' as const, error: 'attach: no such device', at: 0 };
  const sources = { pods: [pod('web', {})], endpoints: [endpoint, foreign], endpointStatus: () => status };
  assert.deepEqual(told(sources), [
    'Pod shop/web uid-web EndpointNotConnected: interface slc0123456789 is not connected: attach: no such device',
  ]);
  assert.deepEqual(told({ ...sources, endpointStatus: () => ({ state: 'done', at: 0 }) }), []);
});

test('a node is told what of it is refused, here and elsewhere, each once', () => {
  const overlap = 'pod CIDR 10.244.0.0/24 overlaps 10.244.0.0/24 of node n0';
  const node = {
    problems: ['address 127.0.0.1 cannot be a node’s', overlap],
    status: { state: 'error', error: 'add route: no space', at: 0 },
  } as unknown as NodeRow;
  assert.deepEqual(told({ node, tooSmall: '10.9.0.0/31', refusedElsewhere: [overlap, 'no InternalIP'] }), [
    'Node /n1 n1 NodeAddressRefused: address 127.0.0.1 cannot be a node’s',
    `Node /n1 n1 PodCIDRRefused: ${overlap}`,
    'Node /n1 n1 PodCIDRRefused: pod CIDR without room for a pod: 10.9.0.0/31',
    'Node /n1 n1 NodeAddressRefused: other nodes: no InternalIP',
    'Node /n1 n1 NodeNotProgrammed: add route: no space; it is tried again',
  ]);
});

test('of two nodes with the same pod CIDR the second by name is refused by the others', () => {
  const node = (name: string, address: string) =>
    parseNode({
      apiVersion: 'v1',
      kind: 'Node',
      metadata: { name },
      spec: { podCIDRs: ['10.244.0.0/24'] },
      status: { addresses: [{ type: 'InternalIP', address }] },
    });
  const nodes = [node('n1', '10.10.30.101'), node('n0', '10.10.30.100')];
  assert.deepEqual(refusedElsewhere('n1', nodes, []), ['pod CIDR 10.244.0.0/24 overlaps 10.244.0.0/24 of node n0']);
  assert.deepEqual(refusedElsewhere('n0', nodes, []), []);
  const services = [parsePrefix('10.244.0.0/25')];
  assert.match(refusedElsewhere('n0', nodes, services).join(), /overlaps 10\.244\.0\.0\/25, where services are/);
});

test('a service that the kernel would not take is told once, with its first frontend', () => {
  const service = parseService({
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { namespace: 'shop', name: 'web', uid: 'u' },
  });
  const failed = (key: string, name = 'shop/web') => ({ key, service: name, error: 'the map slots is full' });
  assert.deepEqual(
    told({
      failedFrontends: [failed('10.96.0.9:80/TCP'), failed('10.96.0.9:81/TCP'), failed('10.96.0.8:1/TCP', 'shop/gone')],
      service: (name) => (name === 'shop/web' ? service : undefined),
    }),
    [
      'Service shop/web u NotProgrammed: 10.96.0.9:80/TCP and 1 more: not written to the kernel of node n1: ' +
        'the map slots is full; it is tried again',
    ],
  );
});

test('a node is told of destinations towards which few ports are left, in the same words while they become fewer', () => {
  const range = {
    protocol: 6,
    destination: parseAddress('198.51.100.10'),
    destinationPort: 443,
    source: parseAddress('10.10.30.101'),
  };
  const [nearly, all] = [28_000, 32_768].map((ports) => told({ scarcePorts: [{ ...range, ports } as typeof range] }));
  assert.match(
    String(nearly),
    /^Node \/n1 n1 NatPortsScarce: few ports of 10\.10\.30\.101 are left towards 198\.51\.100\.10:443\/TCP, or none/,
  );
  assert.deepEqual(all, nearly);
});

test('a node whose clock is apart from the API server’s is told, in the same words while it drifts', () => {
  const [ahead, drifted] = [61_000, 62_400].map((clockAheadMs) => told({ clockAheadMs }));
  assert.match(String(ahead), /^Node \/n1 n1 ClockSkew: the clock is ahead of that of the API server/);
  assert.deepEqual(drifted, ahead);
  assert.match(String(told({ clockAheadMs: -7000 })), /the clock is behind/);
  assert.deepEqual(told({ clockAheadMs: 2000 }), []);
});
