import { type Protocol, protocols } from '@sluice/model';
import type { Address, Prefix } from '@sluice/net';
import { formatPrefix } from '@sluice/net';
import { distinct, type Field } from '../field.ts';
import { type NamespacedRow, openNamespacedObject } from './metadata.ts';

export interface ServicePort {
  /** Empty only where the service has a single port. */
  readonly name: string;
  readonly protocol: Protocol;
  readonly port: number;
  readonly targetPort: number | string;
  readonly nodePort: number | undefined;
  readonly appProtocol: string | undefined;
}

export interface LoadBalancerIngress {
  readonly address: Address;
  /** `Proxy`: the balancer ends the connection, so nodes must not treat the address as theirs. */
  readonly ipMode: 'VIP' | 'Proxy';
}

export interface ServiceObject extends NamespacedRow {
  /** RFC 3339, as text sorts: decides between two services that claim one frontend. */
  readonly createdAt: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Those that carry settings for a network, see `serviceAnnotationPrefixes`. */
  readonly annotations: Readonly<Record<string, string>>;
  readonly type: 'ClusterIP' | 'NodePort' | 'LoadBalancer' | 'ExternalName';
  readonly headless: boolean;
  /** What DNS answers for a service of type ExternalName. */
  readonly externalName: string | undefined;
  readonly selector: Readonly<Record<string, string>>;
  readonly clusterIps: readonly Address[];
  readonly externalIps: readonly Address[];
  readonly loadBalancerIngress: readonly LoadBalancerIngress[];
  readonly loadBalancerClass: string | undefined;
  /** The address asked for in spec.loadBalancerIP. */
  readonly loadBalancerIp: Address | undefined;
  /** Undefined: everybody may come in. None that can be read: nobody. */
  readonly loadBalancerSourceRanges: readonly Prefix[] | undefined;
  readonly allocateNodePorts: boolean;
  readonly ports: readonly ServicePort[];
  /** Undefined: no affinity. */
  readonly affinityTimeoutSeconds: number | undefined;
  readonly externalTrafficPolicy: TrafficPolicy;
  readonly internalTrafficPolicy: TrafficPolicy;
  readonly healthCheckNodePort: number | undefined;
  readonly trafficDistribution: string | undefined;
  /** Undefined: as the values have it. */
  readonly algorithm: ServiceAlgorithm | undefined;
  readonly forwardingMode: ServiceForwardingMode | undefined;
  readonly publishNotReadyAddresses: boolean;
}

export type TrafficPolicy = 'Cluster' | 'Local';

/** How a client from outside gets a backend. */
export type ServiceAlgorithm = 'random' | 'maglev';
/** Who answers a client outside whose backend is on another node: the asked node, or the backend's. */
export type ServiceForwardingMode = 'snat' | 'dsr';

const serviceAnnotationPrefixes = [
  'service.cilium.io/',
  'io.cilium/',
  'lbipam.cilium.io/',
  'io.cilium.nodeipam/',
  'service.kubernetes.io/',
  'service.alpha.kubernetes.io/',
] as const;

const trafficPolicies = ['Cluster', 'Local'] as const;
const serviceAlgorithms = ['random', 'maglev'] as const;
const forwardingModes = ['snat', 'dsr'] as const;
const serviceTypes = ['ClusterIP', 'NodePort', 'LoadBalancer', 'ExternalName'] as const;
const affinityTimeoutDefaultSeconds = 10_800;

export function parseService(object: unknown): ServiceObject {
  const { root, name, namespace, uid } = openNamespacedObject(object, 'Service');
  const spec = root.get('spec');
  const metadata = root.get('metadata');
  return {
    namespace,
    name,
    uid,
    createdAt: metadata.get('creationTimestamp').text() ?? '',
    labels: metadata.get('labels').texts(),
    annotations: metadata.get('annotations').texts(isServiceAnnotation),
    type: spec.get('type').oneOf(serviceTypes) ?? 'ClusterIP',
    headless: spec.get('clusterIP').value === 'None' || spec.get('clusterIPs').items()[0]?.value === 'None',
    externalName: spec.get('externalName').text(),
    selector: spec.get('selector').texts(),
    clusterIps: clusterIps(spec),
    externalIps: addresses(spec.get('externalIPs').items()),
    ...loadBalancer(root),
    ports: distinct(spec.get('ports').items(), servicePort, (port) => `${port.port}/${port.protocol}`),
    affinityTimeoutSeconds: affinityTimeoutSeconds(spec),
    externalTrafficPolicy: spec.get('externalTrafficPolicy').oneOf(trafficPolicies) ?? 'Cluster',
    internalTrafficPolicy: spec.get('internalTrafficPolicy').oneOf(trafficPolicies) ?? 'Cluster',
    healthCheckNodePort: portUnlessZero(spec.get('healthCheckNodePort')),
    trafficDistribution: spec.get('trafficDistribution').text(),
    algorithm: metadata.get('annotations').get('service.cilium.io/lb-algorithm').oneOf(serviceAlgorithms),
    forwardingMode: metadata.get('annotations').get('service.cilium.io/forwarding-mode').oneOf(forwardingModes),
    publishNotReadyAddresses: spec.get('publishNotReadyAddresses').boolean() ?? false,
    problems: root.problems,
  };
}

function isServiceAnnotation(key: string): boolean {
  return serviceAnnotationPrefixes.some((prefix) => key.startsWith(prefix));
}

function clusterIps(spec: Field): Address[] {
  const list = spec.get('clusterIPs').items();
  const fields = list.length > 0 ? list : [spec.get('clusterIP')];
  return addresses(fields.filter((field) => field.value !== 'None' && field.value !== ''));
}

function addresses(fields: readonly Field[]): Address[] {
  return distinct(
    fields,
    (field) => field.address(),
    (address) => address,
  );
}

function loadBalancer(root: Field) {
  const spec = root.get('spec');
  return {
    loadBalancerIngress: distinct(
      root.get('status').get('loadBalancer').get('ingress').items(),
      ingress,
      ({ address }) => address,
    ),
    loadBalancerClass: spec.get('loadBalancerClass').text(),
    loadBalancerIp: spec.get('loadBalancerIP').value === '' ? undefined : spec.get('loadBalancerIP').address(),
    loadBalancerSourceRanges: sourceRanges(spec.get('loadBalancerSourceRanges')),
    allocateNodePorts: spec.get('allocateLoadBalancerNodePorts').boolean() ?? true,
  };
}

function sourceRanges(field: Field): Prefix[] | undefined {
  const isEmpty = Array.isArray(field.value) && field.value.length === 0;
  return field.present && !isEmpty ? distinct(field.items(), (item) => item.prefix(), formatPrefix) : undefined;
}

function ingress(field: Field): LoadBalancerIngress | undefined {
  const address = field.get('ip').address();
  return address && { address, ipMode: field.get('ipMode').oneOf(['VIP', 'Proxy'] as const) ?? 'VIP' };
}

function servicePort(field: Field): ServicePort | undefined {
  const port = field.get('port').port();
  const protocol = field.get('protocol').present ? field.get('protocol').oneOf(protocols) : 'TCP';
  if (!field.get('port').present) field.problem('a port without a number');
  if (port === undefined || protocol === undefined) return undefined;
  return {
    name: field.get('name').text() ?? '',
    protocol,
    port,
    targetPort: targetPort(field.get('targetPort')) ?? port,
    nodePort: portUnlessZero(field.get('nodePort')),
    appProtocol: field.get('appProtocol').text(),
  };
}

function targetPort(field: Field): number | string | undefined {
  if (typeof field.value === 'string') return field.value === '' ? undefined : field.value;
  return portUnlessZero(field);
}

// The API server writes 0 for "none" in some of these.
function portUnlessZero(field: Field): number | undefined {
  return field.value === 0 ? undefined : field.port();
}

function affinityTimeoutSeconds(spec: Field): number | undefined {
  if (spec.get('sessionAffinity').oneOf(['None', 'ClientIP'] as const) !== 'ClientIP') return undefined;
  const timeout = spec.get('sessionAffinityConfig').get('clientIP').get('timeoutSeconds');
  return timeout.integer(1, 86_400) ?? affinityTimeoutDefaultSeconds;
}
