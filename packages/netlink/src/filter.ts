import { decodeAttributes, headerView } from './attributes.ts';

/** What decides over packets of a device behind TCX: a filter of `tc` at clsact or ingress. We read them, and set none. */
export interface Filter {
  readonly ifindex: number;
  readonly hook: 'ingress' | 'egress';
  /** `bpf`, `matchall`, `u32`, `flower`. */
  readonly kind: string;
  /** The smaller goes first. */
  readonly priority: number;
  /** Of a BPF filter. */
  readonly program?: { readonly id: number; readonly name: string };
}

/** A place where filters may be: which qdisc, at which device. */
export interface FilterPlace {
  readonly ifindex: number;
  readonly hooks: readonly Filter['hook'][];
}

const attribute = { kind: 1, options: 2 } as const;
/** TCA_BPF_* of include/uapi/linux/pkt_cls.h. */
const bpfAttribute = { name: 7, id: 11 } as const;
const headerBytes = 20;
/** TC_H_CLSACT, which is TC_H_INGRESS. */
const clsactParent = 0xfffffff1;
/** TC_H_MAKE(TC_H_CLSACT, TC_H_MIN_INGRESS) and _EGRESS. */
const parents = { ingress: 0xfffffff2, egress: 0xfffffff3 } as const;

/** Undefined for a qdisc that shapes what is sent and has no such filters. */
export function decodeFilterPlace(body: Uint8Array): FilterPlace | undefined {
  const header = headerView(body, headerBytes);
  if (header.getUint32(12, true) !== clsactParent) return undefined;
  const kind = decodeAttributes(body, headerBytes).string(attribute.kind);
  const hooks = kind === 'clsact' ? (['ingress', 'egress'] as const) : (['ingress'] as const);
  return { ifindex: header.getInt32(4, true), hooks };
}

/** Of a u32 filter's handle; without these bits it is a hash table that holds filters. */
const u32FilterMask = 0xfffff;

/** Undefined for the head of a list, which is told before its filters. */
export function decodeFilter(body: Uint8Array, hook: Filter['hook']): Filter | undefined {
  const header = headerView(body, headerBytes);
  const handle = header.getUint32(8, true);
  const attributes = decodeAttributes(body, headerBytes);
  const kind = attributes.string(attribute.kind) ?? 'unknown';
  if (handle === 0 || (kind === 'u32' && (handle & u32FilterMask) === 0)) return undefined;
  const options = kind === 'bpf' ? attributes.bytes(attribute.options) : undefined;
  const bpf = options && decodeAttributes(options);
  const id = bpf?.u32(bpfAttribute.id);
  return {
    ifindex: header.getInt32(4, true),
    hook,
    kind,
    // The lower half is the protocol.
    priority: header.getUint32(16, true) >>> 16,
    ...(id !== undefined && { program: { id, name: bpf?.string(bpfAttribute.name) ?? '' } }),
  };
}

/** Body of RTM_GETQDISC for all devices: struct tcmsg. */
export function encodePlacesQuery(): Uint8Array {
  return new Uint8Array(headerBytes);
}

/** Body of RTM_GETTFILTER: struct tcmsg. */
export function encodeFiltersQuery(ifindex: number, hook: Filter['hook']): Uint8Array {
  const bytes = new Uint8Array(headerBytes);
  const view = new DataView(bytes.buffer);
  view.setInt32(4, ifindex, true);
  view.setUint32(12, parents[hook], true);
  return bytes;
}
