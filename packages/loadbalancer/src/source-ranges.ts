/** Rows of `source_ranges`: which clients may use a frontend, in one generation of it. */
import type { SourceRangeKey } from '@sluice/datapath';
import { familyOf, formatPrefix, type Prefix, parseAddress, parsePrefix } from '@sluice/net';

// The numbers before the address, and those of a mapped one before its IPv4 address.
const numberBits = 64;
const ipv4OffsetBits = 96;

export function sourceRangeKey(
  { serviceId, generation }: Pick<SourceRangeKey, 'serviceId' | 'generation'>,
  range: string,
): SourceRangeKey {
  const { address, length } = parsePrefix(range);
  const offset = numberBits + (familyOf(address) === 4 ? ipv4OffsetBits : 0);
  return { prefixLength: offset + length, serviceId, generation, address };
}

/** What `sourceRangeKey` was given. */
export function sourceRangeOf({ address = parseAddress('::'), prefixLength }: SourceRangeKey): string {
  const length = prefixLength - numberBits - (familyOf(address) === 4 ? ipv4OffsetBits : 0);
  return formatPrefix({ address, length });
}

/** As they are compared: each once, in one order. */
export function sourceRangeTexts(ranges: readonly Prefix[] = []): string[] {
  return [...new Set(ranges.map(formatPrefix))].sort();
}
