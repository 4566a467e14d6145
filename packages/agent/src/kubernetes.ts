import { Identities } from '@sluice/identity';
import {
  type ApiCall,
  type CiliumEndpointSliceObject,
  createKubeClient,
  type EndpointSliceObject,
  type KubeClient,
  type KubeConfiguration,
  type NamespaceObject,
  type NodeObject,
  objectKey,
  type PodObject,
  parseCiliumEndpointSlice,
  parseCiliumIdentity,
  parseEndpointSlice,
  parseNamespace,
  parseNode,
  parsePod,
  parseService,
  parseServiceCidr,
  type Reflector,
  reflector,
  resources,
  type ServiceCidrObject,
  type ServiceObject,
} from '@sluice/kube';
import { formatPrefix } from '@sluice/net';
import type { Clock, Logger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import type { OwnNode } from './own-node.ts';

/** Everything that the agent knows from the API server. */
export interface Kubernetes {
  readonly client: KubeClient;
  readonly services: Table<ServiceObject>;
  readonly endpointSlices: Table<EndpointSliceObject>;
  readonly nodes: Table<NodeObject>;
  readonly serviceCidrs: Table<ServiceCidrObject>;
  /** Of this node only. */
  readonly pods: Table<PodObject>;
  readonly namespaces: Table<NamespaceObject>;
  /** All of the cluster's: no table, for there may be 100,000. */
  readonly identities: Identities;
  /** What all nodes publish of their endpoints. */
  readonly slices: Table<CiliumEndpointSliceObject>;
  readonly reflectors: readonly { readonly kind: string; readonly reflector: Reflector; readonly size: () => number }[];
  /** Resolves when the first lists of these kinds are in their tables; rejects when stopped before. */
  listed(...kinds: readonly string[]): Promise<void>;
  /** Our own node, as soon as the API has told of it with pod CIDRs. */
  ownNode(): OwnNode | undefined;
  start(): void;
  stop(): Promise<void>;
}

export interface KubernetesOptions {
  readonly configuration: KubeConfiguration;
  readonly nodeName: string;
  readonly log: Logger;
  readonly clock: Clock;
  readonly onCall: (call: ApiCall) => void;
}

export function kubernetes({ configuration, nodeName, log, clock, onCall }: KubernetesOptions): Kubernetes {
  const client = createKubeClient({ ...configuration, log, clock, userAgent: 'sluice-agent', onCall });
  const services = servicesTable();
  const endpointSlices = endpointSlicesTable();
  const nodes = nodesTable();
  const serviceCidrs = serviceCidrsTable();
  const pods = podsTable();
  const namespaces = namespacesTable();
  const identities = new Identities();
  const slices = slicesTable();
  const common = { client, log, clock };
  const fieldSelector = `spec.nodeName=${nodeName}`;
  const reflectors = [
    {
      kind: 'Node',
      size: () => nodes.size,
      reflector: reflector({ ...common, resource: resources.nodes, parse: parseNode, table: nodes, source: 'nodes' }),
    },
    {
      kind: 'Service',
      size: () => services.size,
      reflector: reflector({
        ...common,
        resource: resources.services,
        parse: parseService,
        table: services,
        source: 'services',
      }),
    },
    {
      kind: 'EndpointSlice',
      size: () => endpointSlices.size,
      reflector: reflector({
        ...common,
        resource: resources.endpointSlices,
        parse: parseEndpointSlice,
        table: endpointSlices,
        source: 'endpointslices',
      }),
    },
    {
      kind: 'ServiceCIDR',
      size: () => serviceCidrs.size,
      reflector: reflector({
        ...common,
        resource: resources.serviceCidrs,
        parse: parseServiceCidr,
        table: serviceCidrs,
        source: 'servicecidrs',
        // v1 came with Kubernetes 1.33. Without it routes to services are not made; sockets translate all the same.
        optional: true,
      }),
    },
    {
      kind: 'Pod',
      size: () => pods.size,
      reflector: reflector({
        ...common,
        resource: resources.pods,
        parse: parsePod,
        table: pods,
        source: 'pods',
        fieldSelector,
      }),
    },
    {
      kind: 'Namespace',
      size: () => namespaces.size,
      reflector: reflector({
        ...common,
        resource: resources.namespaces,
        parse: parseNamespace,
        table: namespaces,
        source: 'namespaces',
      }),
    },
    {
      kind: 'CiliumIdentity',
      size: () => identities.size,
      reflector: reflector({
        ...common,
        resource: resources.ciliumIdentities,
        parse: (object) => identities.read(parseCiliumIdentity(object)),
        table: identities,
        source: 'identities',
      }),
    },
    {
      kind: 'CiliumEndpointSlice',
      size: () => slices.size,
      reflector: reflector({
        ...common,
        resource: resources.ciliumEndpointSlices,
        parse: parseCiliumEndpointSlice,
        table: slices,
        source: 'slices',
      }),
    },
  ];
  return {
    client,
    services,
    endpointSlices,
    nodes,
    serviceCidrs,
    pods,
    namespaces,
    identities,
    slices,
    reflectors,
    async listed(...kinds) {
      const wanted = reflectors.filter(({ kind }) => kinds.includes(kind));
      await Promise.all(wanted.map(({ reflector }) => reflector.synced()));
    },
    ownNode: () => factsOf(nodes.get(nodeName)),
    start() {
      for (const each of reflectors) each.reflector.start();
    },
    async stop() {
      await Promise.all(reflectors.map((each) => each.reflector.stop()));
      client.close();
    },
  };
}

function factsOf(node: NodeObject | undefined): OwnNode | undefined {
  if (!node || node.podCidrs.length === 0) return undefined;
  const addresses = node.addresses.filter(({ type }) => type === 'InternalIP').map(({ address }) => address);
  return { name: node.name, addresses, podCidrs: node.podCidrs };
}

function servicesTable(): Table<ServiceObject> {
  return new Table<ServiceObject>({
    name: 'services',
    key: objectKey,
    sources: ['services'],
    columns: {
      Name: objectKey,
      Type: (row) => row.type,
      ClusterIPs: (row) => row.clusterIps.join(' '),
      Ports: (row) => row.ports.map((port) => `${port.port}/${port.protocol}`).join(' '),
      Problems: (row) => row.problems.join('; '),
    },
  });
}

function endpointSlicesTable(): Table<EndpointSliceObject> {
  return new Table<EndpointSliceObject>({
    name: 'endpointslices',
    key: objectKey,
    sources: ['endpointslices'],
    indexes: { service: (row) => (row.serviceName ? [`${row.namespace}/${row.serviceName}`] : []) },
    columns: {
      Name: objectKey,
      Service: (row) => row.serviceName ?? '',
      Addresses: (row) => row.endpoints.flatMap((endpoint) => endpoint.addresses).join(' '),
      Problems: (row) => row.problems.join('; '),
    },
  });
}

function nodesTable(): Table<NodeObject> {
  return new Table<NodeObject>({
    name: 'node-objects',
    key: (row) => row.name,
    sources: ['nodes'],
    columns: {
      Name: (row) => row.name,
      Addresses: (row) => row.addresses.map(({ address }) => address).join(' '),
      Ready: (row) => String(row.ready),
      Problems: (row) => row.problems.join('; '),
    },
  });
}

function serviceCidrsTable(): Table<ServiceCidrObject> {
  return new Table<ServiceCidrObject>({
    name: 'servicecidrs',
    key: (row) => row.name,
    sources: ['servicecidrs'],
    columns: { Name: (row) => row.name, CIDRs: (row) => row.cidrs.map(formatPrefix).join(' ') },
  });
}

function podsTable(): Table<PodObject> {
  return new Table<PodObject>({
    name: 'pods',
    key: objectKey,
    sources: ['pods'],
    columns: {
      Name: objectKey,
      Phase: (row) => row.phase,
      Addresses: (row) => row.podIps.join(' '),
      Labels: (row) =>
        Object.entries(row.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
    },
  });
}

function namespacesTable(): Table<NamespaceObject> {
  return new Table<NamespaceObject>({
    name: 'namespaces',
    key: (row) => row.name,
    sources: ['namespaces'],
    columns: {
      Name: (row) => row.name,
      Labels: (row) =>
        Object.entries(row.labels)
          .map(([key, value]) => `${key}=${value}`)
          .join(','),
    },
  });
}

function slicesTable(): Table<CiliumEndpointSliceObject> {
  return new Table<CiliumEndpointSliceObject>({
    name: 'slices',
    key: (row) => row.name,
    sources: ['slices'],
    columns: {
      Name: (row) => row.name,
      Node: (row) => row.node ?? '',
      Namespace: (row) => row.namespace,
      Endpoints: (row) => row.endpoints.map(({ name, identity }) => `${name}:${identity}`).join(' '),
      Problems: (row) => row.problems.join('; '),
    },
  });
}
