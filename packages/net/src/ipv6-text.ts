/** IPv6 text to and from eight 16-bit groups: RFC 4291 2.2 in, RFC 5952 out. */

// Longest: eight groups, the last two as dotted IPv4.
const textMax = 45;
const [dot, colon] = [0x2e, 0x3a];

/**
 * Sixteen bytes, or undefined when the text is not an IPv6 address. Zones (`%eth0`) are not addresses. By character codes:
 * every row of a map is read from text, and there are hundreds of thousands.
 */
export function parseIpv6Text(text: string): Uint8Array | undefined {
  if (text.length > textMax) return undefined;
  const bytes = new Uint8Array(16);
  let filled = 0;
  /** Where "::" stands. */
  let gap = text.startsWith('::') ? 0 : -1;
  for (let index = gap === 0 ? 2 : 0; index < text.length; ) {
    const end = endOfGroup(text, index);
    if (text.charCodeAt(end) === dot) {
      const dotted = filled > 12 ? undefined : parseIpv4Text(text.slice(index));
      if (dotted === undefined) return undefined;
      new DataView(bytes.buffer).setUint32(filled, dotted);
      filled += 4;
      break;
    }
    if (end === index || end > index + 4 || filled > 14) return undefined;
    const group = valueOfGroup(text, index, end);
    bytes[filled] = group >> 8;
    bytes[filled + 1] = group & 0xff;
    filled += 2;
    if (end === text.length) break;
    // Behind a colon comes a group, or another colon, once.
    const isGap = text.charCodeAt(end + 1) === colon;
    if (text.charCodeAt(end) !== colon || end + 1 === text.length || (isGap && gap >= 0)) return undefined;
    if (isGap) gap = filled;
    index = end + (isGap ? 2 : 1);
  }
  if (gap < 0) return filled === 16 ? bytes : undefined;
  // "::" stands for at least one group.
  return filled > 14 ? undefined : spread(bytes, gap, filled);
}

/** What is behind "::" goes to the end. */
function spread(bytes: Uint8Array, gap: number, filled: number): Uint8Array {
  const tail = 16 - (filled - gap);
  return bytes.copyWithin(tail, gap, filled).fill(0, gap, tail);
}

function endOfGroup(text: string, start: number): number {
  let end = start;
  while (end < text.length && hexDigit(text.charCodeAt(end)) >= 0) end += 1;
  return end;
}

function valueOfGroup(text: string, start: number, end: number): number {
  let value = 0;
  for (let index = start; index < end; index += 1) value = (value << 4) | hexDigit(text.charCodeAt(index));
  return value;
}

/** -1: it is none. */
function hexDigit(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : -1;
}

/** The address as a number, or undefined. Leading zeros are refused: some parsers read them as octal. */
export function parseIpv4Text(text: string): number | undefined {
  let [value, octet, digits, dots] = [0, 0, 0, 0];
  for (let index = 0; index < text.length; index += 1) {
    const code = text.charCodeAt(index);
    if (code === dot) {
      if (digits === 0 || dots === 3) return undefined;
      value = value * 256 + octet;
      dots += 1;
      [octet, digits] = [0, 0];
    } else {
      if (code < 0x30 || code > 0x39 || (digits > 0 && octet === 0)) return undefined;
      octet = octet * 10 + code - 0x30;
      digits += 1;
      if (octet > 255) return undefined;
    }
  }
  return digits > 0 && dots === 3 ? value * 256 + octet : undefined;
}

/** RFC 5952: lower case, no leading zeros, the first longest run of two or more zero groups as "::". */
export function formatIpv6(bytes: Uint8Array, offset = 0): string {
  const groups: number[] = [];
  for (let index = 0; index < 16; index += 2) {
    groups.push(((bytes[offset + index] ?? 0) << 8) | (bytes[offset + index + 1] ?? 0));
  }
  const run = longestZeroRun(groups);
  const text = (from: number, to: number) =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(':');
  if (run.length < 2) return text(0, 8);
  return `${text(0, run.start)}::${text(run.start + run.length, 8)}`;
}

function longestZeroRun(groups: readonly number[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  let start = 0;
  groups.forEach((group, index) => {
    if (group !== 0) start = index + 1;
    else if (index + 1 - start > best.length) best = { start, length: index + 1 - start };
  });
  return best;
}
