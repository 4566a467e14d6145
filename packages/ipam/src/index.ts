/**
 * Addresses of the pods on this node, out of the node's pod CIDRs. In memory only: who holds which address is known by
 * the endpoints, which reserve theirs again after a restart. Which node has which CIDR is the operator's part.
 * Begin with `pool.ts`.
 */
export { type AddressPair, NodeAddresses } from './node-addresses.ts';
export { AddressInUseError, AddressPool, PoolExhaustedError, type PoolUsage } from './pool.ts';
