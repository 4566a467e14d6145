import {
  type Address,
  AddressError,
  addressCodec,
  addressFromWire,
  addressToWire,
  familyOf,
  parseAddress,
} from './address.ts';

/** A range of addresses: the first one and how many leading bits are fixed, in the family's own bits (0-32, 0-128). */
export interface Prefix {
  readonly address: Address;
  readonly length: number;
}

/**
 * Reads `10.0.0.0/8`; throws AddressError. Bits behind the prefix are an error (most often a typing mistake) unless
 * `lenient`, which clears them. A lone address is not a prefix.
 */
export function parsePrefix(text: string, options: { readonly lenient?: boolean } = {}): Prefix {
  const match = /^([^/]+)\/(\d{1,3})$/.exec(text);
  if (match?.[1] === undefined) throw new AddressError(text, 'is not a prefix like 10.0.0.0/8 or fd00::/64');
  const address = parseAddress(match[1]);
  const length = Number(match[2]);
  const bits = familyBits(address);
  if (length > bits) throw new AddressError(text, `has more than ${bits} bits`);
  const prefix = prefixOf(address, length);
  if (prefix.address !== address && options.lenient !== true) {
    throw new AddressError(text, `has bits set behind the prefix: did you mean ${formatPrefix(prefix)}?`);
  }
  return prefix;
}

/** The prefix of this length that holds the address. */
export function prefixOf(address: Address, length: number): Prefix {
  const bits = familyBits(address);
  if (!Number.isInteger(length) || length < 0 || length > bits)
    throw new RangeError(`prefix length ${length} of ${bits}`);
  const shift = BigInt(bits - length);
  return { address: addressFromValue((addressValue(address) >> shift) << shift, bits), length };
}

/** One address as a prefix. */
export function hostPrefix(address: Address): Prefix {
  return { address, length: familyBits(address) };
}

export function formatPrefix(prefix: Prefix): string {
  return `${prefix.address}/${prefix.length}`;
}

// Both addresses in turn: a question allocates nothing, for some are asked of each of 100,000 endpoints.
const scratch = new DataView(new ArrayBuffer(32));

export function prefixContains(prefix: Prefix, address: Address): boolean {
  if (familyOf(prefix.address) !== familyOf(address)) return false;
  addressCodec.encode(prefix.address, scratch, 0);
  addressCodec.encode(address, scratch, 16);
  const bits = 128 - familyBits(address) + prefix.length;
  for (let byte = 0; byte < bits >> 3; byte += 1) {
    if (scratch.getUint8(byte) !== scratch.getUint8(16 + byte)) return false;
  }
  const rest = bits & 7;
  if (rest === 0) return true;
  const [left, right] = [scratch.getUint8(bits >> 3), scratch.getUint8(16 + (bits >> 3))];
  return (left ^ right) >> (8 - rest) === 0;
}

/** Whether any address is in both: one of them holds the other's first address. */
export function prefixesOverlap(left: Prefix, right: Prefix): boolean {
  return prefixContains(left, right.address) || prefixContains(right, left.address);
}

/** How many addresses. */
export function prefixSize(prefix: Prefix): bigint {
  return 1n << BigInt(familyBits(prefix.address) - prefix.length);
}

/** The n-th address, from 0; throws RangeError outside of the prefix. */
export function prefixAddressAt(prefix: Prefix, index: bigint | number): Address {
  const offset = BigInt(index);
  if (offset < 0n || offset >= prefixSize(prefix)) throw new RangeError(`address ${index} of ${formatPrefix(prefix)}`);
  return addressFromValue(addressValue(prefix.address) + offset, familyBits(prefix.address));
}

/** Position of an address in the prefix; throws RangeError when it is outside. */
export function prefixIndexOf(prefix: Prefix, address: Address): bigint {
  if (!prefixContains(prefix, address)) throw new RangeError(`${address} is not in ${formatPrefix(prefix)}`);
  return addressValue(address) - addressValue(prefix.address);
}

function familyBits(address: Address): 32 | 128 {
  return familyOf(address) === 4 ? 32 : 128;
}

function addressValue(address: Address): bigint {
  return BigInt(`0x${Buffer.from(addressToWire(address)).toString('hex')}`);
}

function addressFromValue(value: bigint, bits: 32 | 128): Address {
  return addressFromWire(Buffer.from(value.toString(16).padStart(bits / 4, '0'), 'hex'));
}
