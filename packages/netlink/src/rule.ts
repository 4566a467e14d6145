import type { Prefix } from '@sluice/net';
import { decodeAttributes, headerView } from './attributes.ts';
import { familyFromKernel, inetPrefix, kernelFamily } from './inet.ts';

/** A policy routing rule: which table answers for which packets. We read them, to explain; we set none. */
export interface Rule {
  readonly family: 4 | 6;
  readonly priority: number;
  /** Absent for actions that need none. */
  readonly table?: number;
  readonly action: 'table' | 'goto' | 'blackhole' | 'unreachable' | 'prohibit' | 'other';
  /** Absent: any. */
  readonly source?: Prefix;
  readonly destination?: Prefix;
  readonly mark?: number;
  readonly markMask?: number;
  readonly inputDevice?: string;
  readonly outputDevice?: string;
  readonly inverted: boolean;
}

const attribute = {
  destination: 1,
  source: 2,
  inputDevice: 3,
  priority: 6,
  mark: 10,
  table: 15,
  markMask: 16,
  outputDevice: 17,
} as const;
const actions: Record<number, Rule['action']> = {
  1: 'table',
  2: 'goto',
  6: 'blackhole',
  7: 'unreachable',
  8: 'prohibit',
};
const inverted = 0x2;
const headerBytes = 12;

/** Undefined for rules of other families. */
export function decodeRule(body: Uint8Array): Rule | undefined {
  const header = headerView(body, headerBytes);
  const family = familyFromKernel(header.getUint8(0));
  if (family === undefined) return undefined;
  const attributes = decodeAttributes(body, headerBytes);
  const table = attributes.u32(attribute.table) ?? header.getUint8(4);
  const source = optionalPrefix(family, attributes.bytes(attribute.source), header.getUint8(2));
  const destination = optionalPrefix(family, attributes.bytes(attribute.destination), header.getUint8(1));
  const mark = attributes.u32(attribute.mark);
  const markMask = attributes.u32(attribute.markMask);
  const inputDevice = attributes.string(attribute.inputDevice);
  const outputDevice = attributes.string(attribute.outputDevice);
  return {
    family,
    priority: attributes.u32(attribute.priority) ?? 0,
    ...(table !== 0 && { table }),
    action: actions[header.getUint8(7)] ?? 'other',
    ...(source && { source }),
    ...(destination && { destination }),
    ...(mark !== undefined && { mark }),
    ...(markMask !== undefined && { markMask }),
    ...(inputDevice !== undefined && { inputDevice }),
    ...(outputDevice !== undefined && { outputDevice }),
    inverted: (header.getUint32(8, true) & inverted) !== 0,
  };
}

function optionalPrefix(family: 4 | 6, bytes: Uint8Array | undefined, length: number): Prefix | undefined {
  return length === 0 ? undefined : inetPrefix(family, bytes, length);
}

/** Body of RTM_GETRULE for one family: struct fib_rule_hdr. */
export function encodeRuleQuery(family: 4 | 6): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  bytes[0] = kernelFamily[family];
  return bytes;
}
