import type { Address, Mac } from '@sluice/net';
import { type Endpoint, endpointKey } from './endpoint.ts';
import type { EndpointValue, NetnsEndpointValue } from './ports.ts';

/** Pure: what the maps must hold for a set of endpoints. */
export function addressRow(endpoint: Endpoint, nodeMac: Mac): EndpointValue {
  return {
    id: endpoint.id,
    ifindex: endpoint.hostIfindex,
    identity: endpoint.identity,
    flags: 0,
    mac: endpoint.podMac,
    nodeMac,
  };
}

export function netnsRow(endpoint: Endpoint): NetnsEndpointValue {
  return { endpointId: endpoint.id, identity: endpoint.identity, ipv4: endpoint.ipv4, ipv6: endpoint.ipv6 };
}

export function addressesOf(endpoint: Endpoint): Address[] {
  return [endpoint.ipv4, endpoint.ipv6].filter((address) => address !== undefined);
}

export function desiredAddresses(endpoints: Iterable<Endpoint>, nodeMac: Mac): Map<Address, EndpointValue> {
  const rows = new Map<Address, EndpointValue>();
  for (const endpoint of endpoints) {
    for (const address of addressesOf(endpoint)) rows.set(address, addressRow(endpoint, nodeMac));
  }
  return rows;
}

/** By the cookie as text. A pod's first interface speaks for its sockets. */
export function desiredNamespaces(endpoints: Iterable<Endpoint>): Map<string, NetnsEndpointValue> {
  const rows = new Map<string, NetnsEndpointValue>();
  for (const endpoint of [...endpoints].sort((left, right) => left.id - right.id)) {
    const cookie = String(endpoint.netnsCookie);
    if (!rows.has(cookie)) rows.set(cookie, netnsRow(endpoint));
  }
  return rows;
}

/** By the device's name: which endpoint it belongs to, and its index. */
export function desiredLinks(endpoints: Iterable<Endpoint>): Map<string, { key: string; ifindex: number }> {
  const rows = new Map<string, { key: string; ifindex: number }>();
  for (const endpoint of endpoints) {
    rows.set(endpoint.hostName, { key: endpointKey(endpoint), ifindex: endpoint.hostIfindex });
  }
  return rows;
}
