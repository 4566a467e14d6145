import { type Address, familyOf, type Mac } from '@sluice/net';

/** What the datapath's configuration and the pods' interfaces need to know of this node. */
export interface NodeFacts {
  readonly hostIfindex: number;
  readonly netIfindex: number;
  readonly overlayIfindex: number;
  readonly hostMac: Mac;
  /** The pods' gateways: sluice_host's addresses. Undefined: the node has no pods of the family. */
  readonly gatewayIpv4: Address | undefined;
  readonly gatewayIpv6: Address | undefined;
  /** Of the pods' interfaces: what fits into the tunnel. */
  readonly mtu: number;
  readonly nodeIpv4: Address | undefined;
  readonly nodeIpv6: Address | undefined;
}

export function firstOf(addresses: readonly Address[], family: 4 | 6): Address | undefined {
  return addresses.find((address) => familyOf(address) === family);
}
