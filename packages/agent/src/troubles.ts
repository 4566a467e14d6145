import type { Endpoint } from '@sluice/endpoint';
import { type NodeObject, objectKey, type PodObject, type ServiceObject, type Trouble } from '@sluice/kube';
import { type HealthCheckRow, type HostPortNode, hostPortText, unservedHostPort } from '@sluice/loadbalancer';
import type { Prefix } from '@sluice/net';
import { deriveNodes, type NodeRow } from '@sluice/nodes';
import { clockApart } from '@sluice/runtime';
import type { RowStatus } from '@sluice/state';
import { destinationText, type PortRange } from './nat-ports.ts';

/** What only this node can know of the cluster's objects; what every node sees alike is the operator's to tell. */
export interface TroubleSources {
  readonly nodeName: string;
  /** Of this node. */
  readonly pods: Iterable<PodObject>;
  readonly endpoints: Iterable<Endpoint>;
  readonly endpointStatus: (endpoint: Endpoint) => RowStatus | undefined;
  /** Our own row, and what speaks of its pod CIDRs besides. */
  readonly node: NodeRow | undefined;
  readonly tooSmall: string;
  /** Where host ports are served; undefined: nowhere, for kubeProxyReplacement is false. */
  readonly hostPorts: HostPortNode | undefined;
  /** What other nodes refuse of ours. */
  readonly refusedElsewhere: readonly string[];
  /** Those that the kernel would not take. */
  readonly failedFrontends: Iterable<FailedFrontend>;
  /** Those that nobody can ask. */
  readonly failedHealthChecks: Iterable<HealthCheckRow>;
  /** Destinations towards which few ports of the node are left. */
  readonly scarcePorts: Iterable<PortRange>;
  readonly service: (name: string) => ServiceObject | undefined;
  /** Of this node's clock to the API server's; undefined before it has answered. */
  readonly clockAheadMs: number | undefined;
}

export interface FailedFrontend {
  readonly key: string;
  /** `namespace/name` */
  readonly service: string;
  readonly error: string;
}

export function nodeTroubles(sources: TroubleSources): Trouble[] {
  return [
    ...podTroubles(sources),
    ...ownNodeTroubles(sources),
    ...frontendTroubles(sources),
    ...healthCheckTroubles(sources),
  ];
}

function podTroubles({ pods, endpoints, endpointStatus, hostPorts }: TroubleSources): Trouble[] {
  const byName = new Map([...pods].map((pod) => [objectKey(pod), pod]));
  const troubles: Trouble[] = [];
  for (const pod of byName.values()) {
    const message = hostPortProblem(pod, hostPorts);
    if (message !== undefined) troubles.push({ object: podReference(pod), reason: 'HostPortNotServed', message });
  }
  for (const endpoint of endpoints) {
    const status = endpointStatus(endpoint);
    const pod = endpoint.pod && byName.get(objectKey(endpoint.pod));
    if (!pod || status?.state !== 'error') continue;
    const message = `interface ${endpoint.hostName} is not connected: ${status.error}`;
    troubles.push({ object: podReference(pod), reason: 'EndpointNotConnected', message });
  }
  return troubles;
}

/** Pods of the host's network have the port by themselves. */
function hostPortProblem(pod: PodObject, node: HostPortNode | undefined): string | undefined {
  const { hostNetwork, phase, terminating, ports } = pod;
  if (hostNetwork || terminating || phase === 'Succeeded' || phase === 'Failed') return undefined;
  const texts = ports.flatMap(({ hostPort, hostIp, protocol, port }) => {
    if (hostPort === undefined) return [];
    const mapping = { hostPort, hostIp, protocol, containerPort: port };
    const reason = node ? unservedHostPort(mapping, node) : 'kubeProxyReplacement is false';
    return reason === undefined ? [] : [`${hostPortText(mapping)} for port ${port}: ${reason}`];
  });
  if (texts.length === 0) return undefined;
  return `host ports are not served: ${texts.join('; ')}. The pod is reached at its own address and by Services`;
}

function ownNodeTroubles(sources: TroubleSources): Trouble[] {
  const { nodeName: name, node, tooSmall } = sources;
  // Events about nodes bear the node's name as uid, as the kubelet writes them: `kubectl describe node` asks for it.
  const object = { apiVersion: 'v1', kind: 'Node', name, uid: name };
  const refused = [
    ...(node?.problems ?? []),
    ...(tooSmall === '' ? [] : [`pod CIDR without room for a pod: ${tooSmall}`]),
  ];
  const elsewhere = sources.refusedElsewhere.filter((problem) => !refused.includes(problem));
  const apart = clockApart(sources.clockAheadMs ?? 0);
  return [
    ...refused.map((message) => ({ object, reason: reasonOf(message), message })),
    ...elsewhere.map((problem) => ({ object, reason: reasonOf(problem), message: `other nodes: ${problem}` })),
    ...(node?.status.error === undefined
      ? []
      : [{ object, reason: 'NodeNotProgrammed', message: `${node.status.error}; it is tried again` }]),
    ...[...sources.scarcePorts].map((range) => ({ object, reason: 'NatPortsScarce', message: scarceMessage(range) })),
    ...(apart === undefined ? [] : [{ object, reason: 'ClockSkew', message: skewMessage(sources.clockAheadMs) }]),
  ];
}

// Without the number, for the same reason as below.
function scarceMessage(range: PortRange): string {
  return `few ports of ${range.source} are left towards ${destinationText(range)}, or none: new connections there are dropped then; "sluice nat top" on the node says who has them`;
}

// Without the seconds: they change as the clocks drift, and each other message would be one more Event.
function skewMessage(clockAheadMs = 0): string {
  const side = clockAheadMs > 0 ? 'ahead of' : 'behind';
  return `the clock is ${side} that of the API server: times of events and logs do not fit together; "sluice status" on the node says by how much`;
}

function reasonOf(problem: string): string {
  return problem.startsWith('pod CIDR') ? 'PodCIDRRefused' : 'NodeAddressRefused';
}

/** What we hold is ours in our own eyes; of two that claim the same, the others believe the first by name. */
export function refusedElsewhere(
  nodeName: string,
  nodeObjects: Iterable<NodeObject>,
  serviceCidrs: readonly Prefix[],
): readonly string[] {
  const nobody = { name: '', serviceCidrs };
  return deriveNodes(nodeObjects, nobody).find(({ name }) => name === nodeName)?.problems ?? [];
}

function frontendTroubles({ nodeName, failedFrontends, service }: TroubleSources): Trouble[] {
  const byService = new Map<string, FailedFrontend[]>();
  for (const failed of failedFrontends)
    byService.set(failed.service, [...(byService.get(failed.service) ?? []), failed]);
  return [...byService].flatMap(([name, failures]) => {
    const owner = service(name);
    const [first] = failures;
    if (!owner || !first) return [];
    const more = failures.length === 1 ? '' : ` and ${failures.length - 1} more`;
    const message = `${first.key}${more}: not written to the kernel of node ${nodeName}: ${first.error}; it is tried again`;
    return [{ object: serviceReference(owner), reason: 'NotProgrammed', message }];
  });
}

function healthCheckTroubles({ nodeName, failedHealthChecks, service }: TroubleSources): Trouble[] {
  return [...failedHealthChecks].flatMap((check) => {
    const owner = service(check.service);
    if (owner === undefined) return [];
    const message = `node ${nodeName} does not answer at healthCheckNodePort: ${check.problem}; a load balancer takes the node for one without endpoints`;
    return [{ object: serviceReference(owner), reason: 'HealthCheckNotServed', message }];
  });
}

function serviceReference({ namespace, name, uid }: ServiceObject): Trouble['object'] {
  return { apiVersion: 'v1', kind: 'Service', namespace, name, uid };
}

function podReference({ namespace, name, uid }: PodObject): Trouble['object'] {
  return { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
}
