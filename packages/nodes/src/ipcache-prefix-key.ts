import { familyOf, formatPrefix, type Prefix, parseAddress } from '@sluice/net';
import type { IpcachePrefixKey } from './ports.ts';

/** Addresses are 16 bytes in the maps: IPv4 lies behind 96 bits. */
const ipv4OffsetBits = 96;

export function prefixToKey({ address, length }: Prefix): IpcachePrefixKey {
  return { address, prefixLength: familyOf(address) === 4 ? ipv4OffsetBits + length : length };
}

/** As text, the key of our rows; a row that is no prefix of ours, such as a damaged one, still gets a name of its own. */
export function keyToText(key: IpcachePrefixKey): string {
  const address = key.address ?? parseAddress('::');
  const length = familyOf(address) === 4 ? key.prefixLength - ipv4OffsetBits : key.prefixLength;
  return formatPrefix({ address, length });
}

export function textToKey(text: string): IpcachePrefixKey {
  const slash = text.lastIndexOf('/');
  const address = parseAddress(text.slice(0, slash));
  const key = prefixToKey({ address, length: Number(text.slice(slash + 1)) });
  // All zeros are written as no address.
  return address === '::' ? { ...key, address: undefined } : key;
}
