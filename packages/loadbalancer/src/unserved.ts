import type { ServiceObject, ServicePort } from '@sluice/kube';
import { type Address, familyOf, formatAddressPort } from '@sluice/net';
import { isForAnother, isInRange, isOfService, type Viewpoint } from './desired.ts';
import { type FrontendType, isAnyAddress } from './frontend.ts';

/** A place that a Service asks for and where nothing serves it. */
export interface UnservedFrontend {
  readonly key: string;
  readonly type: FrontendType;
  readonly portName: string;
  readonly reason: string;
}

/** As the balancer's controller wants it (KEP-1860). */
export const balancerAnswers = 'ipMode is Proxy: the balancer answers there';

/** Pure: what of a Service is accepted and not served, and why. */
export function unservedFrontends(service: ServiceObject, viewpoint: Viewpoint): UnservedFrontend[] {
  if (service.type === 'ExternalName' || isForAnother(service)) return [];
  return service.ports.flatMap((port) => {
    const reasonOf = (own: string | undefined) =>
      isServedProtocol(port) ? own : `${port.protocol} is not served: its ports stand in a checksum that is over all`;
    const places = [
      ...clusterPlaces(service, port),
      ...nodePlaces(port, viewpoint),
      ...ingressPlaces(service, port, viewpoint),
      ...externalPlaces(service, port, viewpoint),
    ];
    return [
      ...places.flatMap(([place, type, own]) => {
        const reason = reasonOf(own);
        return reason === undefined ? [] : [{ key: `${place}/${port.protocol}`, type, portName: port.name, reason }];
      }),
      ...refusedPlaces(service, port, viewpoint),
      ...nobodysPlaces(service, port),
    ];
  });
}

function refusedPlaces(service: ServiceObject, port: ServicePort, { externalIps, refusedExternalIp }: Viewpoint) {
  if (!externalIps) return [];
  return service.externalIps.flatMap((address): UnservedFrontend[] => {
    const reason = refusedExternalIp?.(address, service);
    const key = keyBesides(address, service, port);
    return reason === undefined ? [] : [{ key, type: 'ExternalIP', portName: port.name, reason }];
  });
}

function nobodysPlaces(service: ServiceObject, port: ServicePort): UnservedFrontend[] {
  const addresses = service.loadBalancerIngress.map(({ address }) => address).filter(isAnyAddress);
  return addresses.map((address) => ({
    ...{ key: keyBesides(address, service, port), type: 'LoadBalancer', portName: port.name },
    reason: `${address} is nobody's address`,
  }));
}

/** Its owner may be served at the same place, or NodePorts: this is one that the service asks for besides. */
function keyBesides(address: Address, { namespace, name }: ServiceObject, { port, protocol }: ServicePort): string {
  return `${formatAddressPort(address, port)}/${protocol} of ${namespace}/${name}`;
}

/** Neither the sockets nor the packets' programs translate anything but TCP and UDP. */
export function isServedProtocol({ protocol }: Pick<ServicePort, 'protocol'>): boolean {
  return protocol !== 'SCTP';
}

function clusterPlaces({ clusterIps }: ServiceObject, { port }: ServicePort): [string, FrontendType, undefined][] {
  return clusterIps.map((address) => [formatAddressPort(address, port), 'ClusterIP', undefined]);
}

function nodePlaces({ nodePort }: ServicePort, viewpoint: Viewpoint): [string, FrontendType, string | undefined][] {
  if (!nodePort) return [];
  const reason = isInRange(nodePort, viewpoint) ? undefined : 'the port is not in nodePort.range';
  return [[`*:${nodePort}`, 'NodePort', reason]];
}

function externalPlaces(
  service: ServiceObject,
  { port }: ServicePort,
  { externalIps, refusedExternalIp }: Viewpoint,
): [string, FrontendType, string | undefined][] {
  const own = externalIps
    ? service.externalIps.filter((address) => refusedExternalIp?.(address, service) === undefined)
    : service.externalIps;
  return own.map((address) => [
    formatAddressPort(address, port),
    'ExternalIP',
    externalIps ? ofOtherFamily(address, service) : 'externalIPs.enabled is off',
  ]);
}

function ingressPlaces(
  service: ServiceObject,
  { port }: ServicePort,
  { refusedBalancer }: Viewpoint,
): [string, FrontendType, string | undefined][] {
  const places = service.loadBalancerIngress.filter(({ address }) => !isAnyAddress(address));
  return places.map(({ address, ipMode }) => [
    formatAddressPort(address, port),
    'LoadBalancer',
    ipMode === 'VIP' ? (ofOtherFamily(address, service) ?? refusedBalancer?.(address)) : balancerAnswers,
  ]);
}

function ofOtherFamily(address: Address, service: ServiceObject): string | undefined {
  if (isOfService(address, service)) return undefined;
  return service.clusterIps.length === 0
    ? 'the service has no cluster address, and is not proxied'
    : `the service has no cluster address of IPv${familyOf(address)} (spec.ipFamilies)`;
}
