import { parseAddress } from '@sluice/net';
import { type Endpoint, hostNameOf, macOf } from '../src/endpoint.ts';

/** Number n of a node: device index 10 + n, addresses 10.0.0.(10 + n) and fd00::(10 + n). */
export function endpoint(id: number, containerId: string): Endpoint {
  const key = { containerId, ifname: 'eth0' };
  return {
    ...key,
    id,
    netns: `/run/netns/${containerId}`,
    netnsCookie: BigInt(1000 + id),
    netnsInode: 4026531840n,
    hostName: hostNameOf(key),
    hostIfindex: 10 + id,
    hostMac: macOf(key, 'host'),
    podIfindex: 2,
    podMac: macOf(key, 'pod'),
    mtu: 1500,
    routeMtu: 1450,
    ipv4: parseAddress(`10.0.0.${10 + id}`),
    ipv6: parseAddress(`fd00::${10 + id}`),
    gatewayIpv4: parseAddress('10.0.0.1'),
    gatewayIpv6: parseAddress('fd00::1'),
    pod: { namespace: 'shop', name: containerId, uid: undefined },
    hostPorts: [{ hostPort: 8080, containerPort: 80, protocol: 'TCP', hostIp: parseAddress('10.0.0.7') }],
    labels: ['k8s:app=shop', 'k8s:io.kubernetes.pod.namespace=shop'],
    identity: 4711,
    identityPendingSince: undefined,
    createdAt: 1,
  };
}
