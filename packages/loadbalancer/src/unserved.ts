import type { ServiceObject, ServicePort } from '@sluice/kube';
import { type Address, formatAddressPort } from '@sluice/net';
import { type FrontendType, keyOf } from './frontend.ts';

/** A place that a Service asks for and where nothing serves it. */
export interface UnservedFrontend {
  readonly key: string;
  readonly type: FrontendType;
  readonly portName: string;
  readonly reason: string;
}

/** Pure: what of a Service is accepted and not served, and why. */
export function unservedFrontends(service: ServiceObject): UnservedFrontend[] {
  if (isLeftToOthers(service)) return [];
  return service.ports.flatMap((port) => [...clusterFrontends(service, port), ...outerFrontends(service, port)]);
}

/** By these labels a Service says that the cluster's own proxy shall leave it alone: it is as good as not there for us. */
export function isLeftToOthers({ labels }: Pick<ServiceObject, 'labels'>): boolean {
  return 'service.kubernetes.io/service-proxy-name' in labels || 'service.kubernetes.io/headless' in labels;
}

/** Neither the sockets nor the packets' programs translate anything but TCP and UDP. */
export function isServedProtocol({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return protocol !== 'SCTP';
}

function clusterFrontends({ type, clusterIps }: ServiceObject, port: ServicePort): UnservedFrontend[] {
  if (type === 'ExternalName' || isServedProtocol(port)) return [];
  return clusterIps.map((address) => ({
    key: keyOf({ address, port: port.port }, port.protocol),
    type: 'ClusterIP',
    portName: port.name,
    reason: `${port.protocol} is not served yet`,
  }));
}

function outerFrontends(service: ServiceObject, { name, port, protocol, nodePort }: ServicePort): UnservedFrontend[] {
  const addresses: [Address, FrontendType][] = [
    ...service.loadBalancerIngress.map(({ address }): [Address, FrontendType] => [address, 'LoadBalancer']),
    ...service.externalIps.map((address): [Address, FrontendType] => [address, 'ExternalIP']),
  ];
  const places: [string, FrontendType][] = [
    ...(nodePort ? [[`*:${nodePort}`, 'NodePort'] as [string, FrontendType]] : []),
    ...addresses.map(([address, type]): [string, FrontendType] => [formatAddressPort(address, port), type]),
  ];
  return places.map(([place, type]) => ({
    key: `${place}/${protocol}`,
    type,
    portName: name,
    reason: `${type} frontends are not served yet`,
  }));
}
