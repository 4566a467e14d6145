/**
 * Addresses, prefixes, Ethernet addresses, checksums and packets: pure functions on text and bytes. It opens no socket
 * and knows no map. Begin with `address.ts`; packets are built by `packet()` and read by `parsePacket`.
 */
export {
  type Address,
  AddressError,
  type AddressFamily,
  addressCodec,
  addressFromBytes,
  addressFromWire,
  addressToBytes,
  addressToWire,
  compareAddresses,
  familyOf,
  formatAddressPort,
  isAddress,
  parseAddress,
  tryParseAddress,
} from './address.ts';
export { type Mac, macCodec, macFromBytes, macToBytes, parseMac } from './mac.ts';
export {
  comparePrefixes,
  formatPrefix,
  hostPrefix,
  type Prefix,
  parsePrefix,
  prefixAddressAt,
  prefixContains,
  prefixesOverlap,
  prefixIndexOf,
  prefixOf,
  prefixSize,
} from './prefix.ts';
