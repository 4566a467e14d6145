import { internalError } from '../api-error.ts';
import type { FieldErrors } from '../field-errors.ts';
import type { Service, ServicePort, ServiceSpec } from '../kinds/types.ts';
import type { Allocations } from './allocations.ts';

interface Context {
  old: Service | undefined;
  allocations: Allocations;
  errors: FieldErrors;
}

/** Gives node ports to services that want them, keeps those they have, and takes them back when the type changes. */
export function assignNodePorts(service: Service, { old, allocations, errors }: Context): void {
  const { spec } = service;
  const wantsPorts =
    spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec.allocateLoadBalancerNodePorts !== false);
  const mayHavePorts = spec.type === 'NodePort' || spec.type === 'LoadBalancer';
  if (mayHavePorts && old) keepNodePorts(spec, old.spec);
  if (!mayHavePorts) refuseNodePorts(spec, old?.spec, errors);
  const held = new Set(old ? portKeys(old.spec) : []);
  const given = new Map<number, Set<string>>();
  for (const [index, port] of (spec.ports ?? []).entries()) {
    if (!port.nodePort) continue;
    const key = portKey(port);
    const problem = held.has(key) ? undefined : allocations.nodePortProblem(port.nodePort, port.protocol ?? 'TCP');
    if (problem) errors.invalid(`spec.ports[${index}].nodePort`, port.nodePort, problem);
    const protocols = given.get(port.nodePort) ?? new Set();
    if (protocols.has(port.protocol ?? 'TCP')) errors.duplicate(`spec.ports[${index}].nodePort`, port.nodePort);
    given.set(port.nodePort, protocols.add(port.protocol ?? 'TCP'));
  }
  if (errors.causes.length > 0) return;
  const taken = new Set(given.keys());
  if (wantsPorts)
    for (const port of spec.ports ?? []) port.nodePort ||= take(allocations, taken, sharedNodePort(spec, port));
  assignHealthCheck(spec, old?.spec, { allocations, taken });
}

/** TCP and UDP of one port number share a node port, as the real allocator does for DNS. */
function sharedNodePort(spec: ServiceSpec, port: ServicePort): number | undefined {
  return spec.ports?.find(
    (other) => other !== port && other.port === port.port && other.protocol !== port.protocol && other.nodePort,
  )?.nodePort;
}

function take(allocations: Allocations, taken: Set<number>, shared: number | undefined): number {
  const port = shared ?? allocations.freeNodePort(taken);
  if (port === undefined) throw internalError('failed to allocate a nodePort: range is full');
  taken.add(port);
  return port;
}

function keepNodePorts(spec: ServiceSpec, old: ServiceSpec): void {
  const used = new Set(
    (spec.ports ?? []).map((port) => port.nodePort).filter((port) => port !== undefined && port !== 0),
  );
  for (const port of spec.ports ?? []) {
    if (port.nodePort) continue;
    const before = old.ports?.find((candidate) => candidate.port === port.port && candidate.protocol === port.protocol);
    if (before?.nodePort && !used.has(before.nodePort)) port.nodePort = before.nodePort;
  }
}

/** ClusterIP services have none: those kept from before the type changed go, ones asked for anew are refused. */
function refuseNodePorts(spec: ServiceSpec, old: ServiceSpec | undefined, errors: FieldErrors): void {
  const held = new Set(old && old.type !== spec.type ? portKeys(old) : []);
  for (const [index, port] of (spec.ports ?? []).entries()) {
    if (!port.nodePort) continue;
    if (held.has(portKey(port))) delete port.nodePort;
    else errors.forbidden(`spec.ports[${index}].nodePort`, "may not be used when `type` is 'ClusterIP'");
  }
}

function assignHealthCheck(
  spec: ServiceSpec,
  old: ServiceSpec | undefined,
  { allocations, taken }: { allocations: Allocations; taken: Set<number> },
): void {
  const needs = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local';
  if (!needs) delete spec.healthCheckNodePort;
  else spec.healthCheckNodePort ||= old?.healthCheckNodePort || take(allocations, taken, undefined);
}

function portKey(port: ServicePort): string {
  return `${port.nodePort}/${port.protocol ?? 'TCP'}`;
}

function portKeys(spec: ServiceSpec): string[] {
  return (spec.ports ?? []).filter((port) => port.nodePort).map(portKey);
}
