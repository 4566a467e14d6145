import { CniCode, CniError, type CniResult, type InspectedPod } from '@sluice/cni';
import { type Endpoint, endpointKey } from './endpoint.ts';

/** The answer to ADD. */
export function resultOf(endpoint: Endpoint): CniResult {
  const { ipv4, ipv6, gatewayIpv4, gatewayIpv6, mtu } = endpoint;
  return {
    interfaces: [
      { name: endpoint.hostName, mac: endpoint.hostMac, mtu },
      { name: endpoint.ifname, mac: endpoint.podMac, mtu, sandbox: endpoint.netns },
    ],
    ips: [
      ...(ipv4 && gatewayIpv4 ? [{ address: `${ipv4}/32`, gateway: gatewayIpv4, interface: 1 }] : []),
      ...(ipv6 && gatewayIpv6 ? [{ address: `${ipv6}/128`, gateway: gatewayIpv6, interface: 1 }] : []),
    ],
    routes: [
      ...(gatewayIpv4 ? [{ dst: '0.0.0.0/0', gw: gatewayIpv4 }] : []),
      ...(gatewayIpv6 ? [{ dst: '::/0', gw: gatewayIpv6 }] : []),
    ],
  };
}

/** Throws when something inside the pod is not as ADD made it; the message says what. */
export function comparePod(endpoint: Endpoint, pod: InspectedPod): void {
  const { device } = pod;
  if (!device) throw different(endpoint, `${endpoint.ifname} is gone from the pod`);
  if (device.mac !== endpoint.podMac) {
    throw different(endpoint, `${endpoint.ifname} has the address ${device.mac}, it was made with ${endpoint.podMac}`);
  }
  if (!device.up) throw different(endpoint, `${endpoint.ifname} is down`);
  const { ipv4, ipv6, gatewayIpv4, gatewayIpv6 } = endpoint;
  for (const address of [ipv4 && `${ipv4}/32`, ipv6 && `${ipv6}/128`]) {
    if (address && !pod.addresses.includes(address)) throw different(endpoint, `${endpoint.ifname} lacks ${address}`);
  }
  for (const gateway of [gatewayIpv4, gatewayIpv6]) {
    if (gateway && !pod.gateways.includes(gateway))
      throw different(endpoint, `the pod has no default route via ${gateway}`);
  }
}

/** The runtime hands back the answer to ADD; what differs from what we know was meant for somebody else. */
export function comparePrevious(endpoint: Endpoint, previous: Readonly<Record<string, unknown>>): void {
  const text = JSON.stringify(previous.ips ?? []);
  for (const address of [endpoint.ipv4 && `${endpoint.ipv4}/32`, endpoint.ipv6 && `${endpoint.ipv6}/128`]) {
    if (address && !text.includes(`"${address}"`)) throw different(endpoint, `prevResult lacks ${address}`);
  }
}

function different(endpoint: Endpoint, what: string): CniError {
  return new CniError(CniCode.Different, `${endpointKey(endpoint)}: ${what}`);
}
