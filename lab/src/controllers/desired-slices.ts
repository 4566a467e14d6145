import { familyOf, parseAddress } from '@sluice/net';
import type { EndpointSlice, IpFamily, Pod, Service, ServicePort, SliceEndpoint } from '../apiserver/index.ts';
import { isPodOver, isPodReady } from './objects.ts';

export type DesiredSlice = Pick<EndpointSlice, 'addressType' | 'endpoints' | 'ports'>;

/** Endpoints in one slice, Kubernetes' default. */
const endpointsMax = 100;

/** The slices a service should have: per family, per set of resolved ports, at most 100 endpoints each; an empty one if it has no pods. */
export function desiredSlices(service: Service, pods: readonly Pod[]): DesiredSlice[] {
  return (service.spec.ipFamilies ?? ['IPv4']).flatMap((family) => {
    const groups = new Map<string, DesiredSlice>();
    const sorted = [...pods].sort((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1));
    const desired: DesiredSlice[] = [];
    for (const pod of sorted) {
      const address = addressOf(pod, family);
      if (!address || isPodOver(pod)) continue;
      const ports = resolvePorts(service.spec.ports ?? [], pod);
      const key = JSON.stringify(ports);
      let slice = groups.get(key);
      if (!slice || slice.endpoints.length >= endpointsMax) {
        slice = { addressType: family, endpoints: [], ports };
        groups.set(key, slice);
        desired.push(slice);
      }
      slice.endpoints.push(toEndpoint(service, pod, address));
    }
    return desired.length > 0 ? desired : [{ addressType: family, endpoints: [], ports: [] }];
  });
}

function addressOf(pod: Pod, family: IpFamily): string | undefined {
  const addresses = pod.status.podIPs?.map(({ ip }) => ip) ?? (pod.status.podIP ? [pod.status.podIP] : []);
  return addresses.find((ip) => (familyOf(parseAddress(ip)) === 4) === (family === 'IPv4'));
}

/** A port by name is the container's port of that name; a pod that has none serves the others only. */
function resolvePorts(ports: readonly ServicePort[], pod: Pod): NonNullable<EndpointSlice['ports']> {
  return ports.flatMap(({ name, port, targetPort = port, protocol = 'TCP', appProtocol }) => {
    const number = typeof targetPort === 'number' ? targetPort : namedPort(pod, targetPort, protocol);
    return number === undefined
      ? []
      : [{ name: name ?? '', protocol, port: number, ...(appProtocol !== undefined && { appProtocol }) }];
  });
}

function namedPort(pod: Pod, name: string, protocol: string): number | undefined {
  const ports = pod.spec.containers.flatMap((container) => container.ports ?? []);
  return ports.find((port) => port.name === name && (port.protocol ?? 'TCP') === protocol)?.containerPort;
}

function toEndpoint(service: Service, pod: Pod, address: string): SliceEndpoint {
  const serving = isPodReady(pod);
  const terminating = pod.metadata.deletionTimestamp !== undefined;
  const ready = Boolean(service.spec.publishNotReadyAddresses) || (serving && !terminating);
  const isNamed = pod.spec.hostname && pod.spec.subdomain === service.metadata.name;
  const { name, namespace = '', uid } = pod.metadata;
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(isNamed && { hostname: pod.spec.hostname ?? '' }),
    ...(pod.spec.nodeName && { nodeName: pod.spec.nodeName }),
    targetRef: { kind: 'Pod', namespace, name, uid },
  };
}
