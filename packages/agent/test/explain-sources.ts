/** A node of two, k8s-cp1, with one pod, as `sluice explain` sees it; the programs answer what a test has them answer. */
import type { DryRun } from '@sluice/datapath';
import type { Endpoint } from '@sluice/endpoint';
import type { EndpointSliceObject, ServiceObject } from '@sluice/kube';
import { type FrontendRow, frontendEndpoints } from '@sluice/loadbalancer';
import { parseAddress, parseMac, parsePrefix } from '@sluice/net';
import type { NodeRow } from '@sluice/nodes';
import { Table } from '@sluice/state';
import type { ExplainSources } from '../src/explain/sources.ts';

export const mac = parseMac('02:00:00:00:00:01');
export const client: Endpoint = {
  containerId: 'c1',
  ifname: 'eth0',
  id: 1,
  netns: '',
  netnsCookie: 77n,
  netnsInode: 0n,
  hostName: 'slc0123456789',
  hostIfindex: 10,
  hostMac: mac,
  podIfindex: 2,
  podMac: parseMac('02:00:00:00:00:0a'),
  mtu: 1450,
  routeMtu: 1450,
  ipv4: parseAddress('10.244.0.4'),
  ipv6: undefined,
  gatewayIpv4: parseAddress('10.244.0.1'),
  gatewayIpv6: undefined,
  pod: { namespace: 'shop', name: 'client', uid: '1' },
  hostPorts: [],
  labels: ['k8s:app=client'],
  identity: 4711,
  identityPendingSince: undefined,
  createdAt: 0,
};
export const node: NodeRow = {
  name: 'k8s-cp2',
  local: false,
  addresses: [parseAddress('10.10.30.102')],
  podCidrs: [parsePrefix('10.244.1.0/24')],
  routerAddresses: [],
  tunnelEndpoint: parseAddress('10.10.30.102'),
  podMtu: 1450,
  labels: {},
  annotations: {},
  problems: [],
  status: { state: 'done', at: 0 },
};

export interface TestSources {
  readonly frontends: Table<FrontendRow>;
  readonly backendsOf: ExplainSources['backendsOf'];
  readonly service: DryRun['service'];
}

/** Services and EndpointSlices are the test's to fill. */
export function explainTestSources({ frontends, backendsOf, service }: TestSources): ExplainSources {
  const services = new Table<ServiceObject>({
    ...{ name: 'services', key: (row) => `${row.namespace}/${row.name}`, columns: {} },
  });
  const endpointSlices = new Table<EndpointSliceObject>({
    ...{ name: 'endpoint-slices', key: (row) => row.name, columns: {} },
    indexes: { service: ({ namespace, serviceName }) => [`${namespace}/${serviceName}`] },
  });
  const endpoints = new Table<Endpoint>({
    ...{ name: 'endpoints', key: (row) => row.containerId, columns: {} },
    indexes: { pod: (row) => (row.pod ? [`${row.pod.namespace}/${row.pod.name}`] : []) },
  });
  endpoints.upsert(client);
  const nodes = new Table<NodeRow>({ name: 'nodes', key: (row) => row.name, columns: {} });
  nodes.upsert(node);
  nodes.upsert({ ...node, name: 'k8s-cp1', local: true, addresses: [parseAddress('10.10.30.101')], podCidrs: [] });
  const unasked = () => {
    throw new Error('nobody asks for a packet or a call here');
  };
  return {
    ...{ services, endpointSlices, endpoints, frontends, backendsOf, nodeName: 'k8s-cp1', zone: () => 'a' },
    endpointsOf: (row) => frontendEndpoints(row, { services, endpointSlices, nodeName: 'k8s-cp1' }),
    nodes: {
      nodes,
      ips: () => [],
      nodePortAddresses: () => ({ served: [parseAddress('10.10.30.101')], without: [] }),
    },
    facts: {
      ...{ hostIfindex: 3, netIfindex: 4, overlayIfindex: 5, hostMac: mac, mtu: 1450 },
      ...{ gatewayIpv4: parseAddress('10.244.0.1'), gatewayIpv6: undefined },
      ...{ nodeIpv4: undefined, nodeIpv6: undefined },
    },
    dryRun: { service, socketCall: unasked, packet: unasked, [Symbol.dispose]: () => undefined },
    nameOf: (address) => (address === '10.244.1.7' ? 'shop/far' : ''),
    interfaceOf: (ifindex) => `dev${ifindex}`,
    labelsOf: () => [],
    reachability: () => [],
    foreignPrograms: () => [],
    anyPort: () => 40_000,
  };
}
