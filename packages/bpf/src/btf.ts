import { type BtfEnum, type BtfKind, type BtfLinkage, type BtfModifier, type BtfType, btfKinds } from './btf-type.ts';
import { BpfFormatError } from './format-error.ts';

const MAGIC = 0xeb9f;
const HEADER_BYTES = 24;
const RECORD_BYTES = 12;
/** A chain of typedefs and qualifiers longer than this is damage (a loop), not C. */
const MODIFIERS_MAX = 64;
/** The kernel's own limit (BTF_MAX_TYPE). */
const TYPES_MAX = 0xfffff;

const Kind = {
  int: 1,
  array: 3,
  struct: 4,
  union: 5,
  enum: 6,
  prototype: 13,
  variable: 14,
  section: 15,
  declarationTag: 17,
  enum64: 19,
} as const;

const linkages: readonly BtfLinkage[] = ['static', 'global', 'extern'];

/** Bytes that follow the common record, per kind, for `count` entries. */
function tailBytes(kind: number, count: number): number {
  switch (kind) {
    case Kind.int:
    case Kind.variable:
    case Kind.declarationTag:
      return 4;
    case Kind.array:
      return 12;
    case Kind.struct:
    case Kind.union:
    case Kind.section:
    case Kind.enum64:
      return 12 * count;
    case Kind.enum:
    case Kind.prototype:
      return 8 * count;
    default:
      return 0;
  }
}

/**
 * Types of an object or of the kernel. Holds the bytes and one offset per type; a type is decoded when asked for, so
 * that the kernel's 126,000 types cost half a megabyte and not twenty-five.
 */
export class Btf implements Disposable {
  readonly name: string;
  readonly bytes: Uint8Array;
  /** Ids run from 1 to count - 1; 0 is void. */
  readonly count: number;
  readonly #view: DataView;
  readonly #strings: Buffer;
  readonly #stringsOffset: number;
  /** Where each type's record stands in `bytes`. */
  readonly #offsets: Uint32Array;

  constructor(bytes: Uint8Array, name: string) {
    this.name = name;
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const sections = this.#readHeader();
    this.#stringsOffset = sections.strings.offset;
    this.#strings = Buffer.from(bytes.buffer, bytes.byteOffset + sections.strings.offset, sections.strings.length);
    this.#offsets = this.#indexTypes(sections.types.offset, sections.types.length);
    this.count = this.#offsets.length;
  }

  /** Gives its bytes back now, for who read them: a collector that sees little garbage keeps 5 MiB for long. */
  [Symbol.dispose](): void {
    for (const { buffer } of [this.bytes, this.#offsets]) if (buffer instanceof ArrayBuffer) buffer.transfer(0);
  }

  type(id: number): BtfType {
    if (id === 0) return { kind: 'void', id: 0, name: '' };
    const offset = this.#offsets[id];
    if (offset === undefined) throw this.error(HEADER_BYTES, `type id ${id} of ${this.count - 1}`);
    return this.#decode(id, offset);
  }

  /** The type behind typedefs, qualifiers and type tags. */
  resolve(id: number): Exclude<BtfType, BtfModifier> {
    let type = this.type(id);
    for (let steps = 0; steps < MODIFIERS_MAX; steps++) {
      if (!isModifier(type)) return type;
      type = this.type(type.typeId);
    }
    throw this.error(this.#offsets[id] ?? 0, `type ${id} is a chain of more than ${MODIFIERS_MAX} typedefs`);
  }

  /** Bytes a value of the type takes; refuses what has no size. */
  sizeOf(id: number): number {
    let count = 1;
    let typeId = id;
    for (let depth = 0; depth < MODIFIERS_MAX; depth++) {
      const type = this.resolve(typeId);
      switch (type.kind) {
        case 'int':
        case 'float':
        case 'struct':
        case 'union':
        case 'enum':
        case 'section':
          return count * type.size;
        case 'pointer':
          return count * 8;
        case 'array':
          count *= type.length;
          typeId = type.elementTypeId;
          break;
        case 'variable':
          typeId = type.typeId;
          break;
        default:
          throw this.error(this.#offsets[id] ?? 0, `a ${type.kind} has no size`);
      }
    }
    throw this.error(this.#offsets[id] ?? 0, `type ${id} nests more than ${MODIFIERS_MAX} arrays`);
  }

  /** Ids of the types with exactly this name, in order. One pass over the records; ask for many with `findAll`. */
  find(name: string, kinds?: readonly BtfKind[]): number[] {
    return this.findAll([name], kinds).get(name) ?? [];
  }

  /** The same for several names in one pass. */
  findAll(names: Iterable<string>, kinds?: readonly BtfKind[]): Map<string, number[]> {
    const nameByOffset = new Map<number, string>();
    const found = new Map<string, number[]>();
    for (const name of names) {
      found.set(name, []);
      for (const offset of this.#stringOffsets(name)) nameByOffset.set(offset, name);
    }
    for (let id = 1; id < this.count; id++) {
      const offset = this.#offsets[id] ?? 0;
      const name = nameByOffset.get(this.#view.getUint32(offset, true));
      if (name === undefined) continue;
      const kind = btfKinds[(this.#view.getUint32(offset + 4, true) >>> 24) & 0x1f];
      if (kind !== undefined && (kinds === undefined || kinds.includes(kind))) found.get(name)?.push(id);
    }
    return found;
  }

  /** All types, decoded one by one: for objects, not for the kernel's. */
  *types(): IterableIterator<BtfType> {
    for (let id = 1; id < this.count; id++) yield this.type(id);
  }

  /** Where the record of a type begins in `bytes`. */
  recordOffset(id: number): number {
    const offset = this.#offsets[id];
    if (offset === undefined || id === 0) throw this.error(HEADER_BYTES, `type id ${id} of ${this.count - 1}`);
    return offset;
  }

  /** The string at an offset of the string section. */
  string(offset: number): string {
    if (offset === 0) return '';
    const end = offset < this.#strings.length ? this.#strings.indexOf(0, offset) : -1;
    if (end < 0) throw this.error(this.#stringsOffset, `string offset ${offset} of ${this.#strings.length}`);
    return this.#strings.toString('utf8', offset, end);
  }

  error(offset: number, problem: string): BpfFormatError {
    return new BpfFormatError({ object: this.name, section: '.BTF', offset }, problem);
  }

  #readHeader() {
    const { bytes } = this;
    if (bytes.length < HEADER_BYTES) throw this.error(0, `${bytes.length} bytes are less than a header`);
    const magic = this.#view.getUint16(0, true);
    if (magic === 0x9feb) throw this.error(0, 'big-endian types are not supported');
    if (magic !== MAGIC) throw this.error(0, `magic 0x${magic.toString(16)} is not BTF`);
    const version = this.#view.getUint8(2);
    if (version !== 1) throw this.error(2, `version ${version} is not 1`);
    const headerBytes = this.#view.getUint32(4, true);
    if (headerBytes < HEADER_BYTES || headerBytes > bytes.length) throw this.error(4, `header of ${headerBytes} bytes`);
    const span = (at: number, what: string) => {
      const offset = headerBytes + this.#view.getUint32(at, true);
      const length = this.#view.getUint32(at + 4, true);
      if (offset + length > bytes.length) throw this.error(at, `${what} end at ${offset + length} of ${bytes.length}`);
      return { offset, length };
    };
    return { types: span(8, 'types'), strings: span(16, 'strings') };
  }

  #indexTypes(start: number, length: number): Uint32Array {
    const limit = Math.min(Math.floor(length / RECORD_BYTES), TYPES_MAX);
    const offsets = new Uint32Array(limit + 1);
    const end = start + length;
    let id = 1;
    for (let offset = start; offset < end; id++) {
      if (id > limit || offset + RECORD_BYTES > end) throw this.error(offset, 'type record is cut off');
      offsets[id] = offset;
      const info = this.#view.getUint32(offset + 4, true);
      const kind = (info >>> 24) & 0x1f;
      if (kind === 0 || kind >= btfKinds.length) throw this.error(offset, `unknown kind ${kind}`);
      offset += RECORD_BYTES + tailBytes(kind, info & 0xffff);
      if (offset > end) throw this.error(offsets[id] ?? 0, 'type record is cut off');
    }
    return offsets.slice(0, id);
  }

  /** Strings may share tails, so a name can start in the middle of another. */
  #stringOffsets(name: string): number[] {
    const needle = Buffer.from(`${name}\0`);
    const offsets: number[] = [];
    if (name === '') return offsets;
    for (let at = this.#strings.indexOf(needle); at >= 0; at = this.#strings.indexOf(needle, at + 1)) offsets.push(at);
    return offsets;
  }

  #decode(id: number, offset: number): BtfType {
    const view = this.#view;
    const u32 = (at: number) => view.getUint32(offset + at, true);
    const name = this.string(u32(0));
    const info = u32(4);
    const size = u32(8);
    const typeId = size;
    const rawKind = (info >>> 24) & 0x1f;
    const kind = btfKinds[rawKind];
    const count = info & 0xffff;
    const flag = info >>> 31 === 1;
    const common = { id, name };
    const entries = <T>(bytes: number, read: (at: number) => T): T[] =>
      Array.from({ length: count }, (_, index) => read(RECORD_BYTES + index * bytes));
    switch (kind) {
      case 'int': {
        const encoding = u32(12);
        const format = (encoding >>> 24) & 0xf;
        return { ...common, kind, size, bits: encoding & 0xff, signed: (format & 1) !== 0, bool: (format & 4) !== 0 };
      }
      case 'float':
        return { ...common, kind, size };
      case 'array':
        return { ...common, kind, elementTypeId: u32(12), length: u32(20) };
      case 'struct':
      case 'union': {
        const members = entries(12, (at) => {
          const raw = u32(at + 8);
          return {
            name: this.string(u32(at)),
            typeId: u32(at + 4),
            bitOffset: flag ? raw & 0xffffff : raw,
            bitfieldSize: flag ? raw >>> 24 : 0,
          };
        });
        return { ...common, kind, size, members };
      }
      case 'enum':
        return {
          ...common,
          kind,
          size,
          signed: flag,
          values: this.#enumValues(offset, { count, flag, wide: rawKind === Kind.enum64 }),
        };
      case 'forward':
        return { ...common, kind, union: flag };
      case 'pointer':
      case 'typedef':
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type-tag':
        return { ...common, kind, typeId };
      case 'function':
        return { ...common, kind, typeId, linkage: this.#linkage(offset, count) };
      case 'prototype':
        return {
          ...common,
          kind,
          returnTypeId: typeId,
          parameters: entries(8, (at) => ({ name: this.string(u32(at)), typeId: u32(at + 4) })),
        };
      case 'variable':
        return { ...common, kind, typeId, linkage: this.#linkage(offset, u32(12)) };
      case 'section':
        return {
          ...common,
          kind,
          size,
          variables: entries(12, (at) => ({ typeId: u32(at), offset: u32(at + 4), size: u32(at + 8) })),
        };
      case 'declaration-tag':
        return { ...common, kind, typeId, component: view.getInt32(offset + RECORD_BYTES, true) };
      default:
        throw this.error(offset, `unknown kind ${rawKind}`);
    }
  }

  #enumValues(offset: number, shape: { count: number; flag: boolean; wide: boolean }): BtfEnum['values'] {
    const view = this.#view;
    const bytes = shape.wide ? 12 : 8;
    return Array.from({ length: shape.count }, (_, index) => {
      const at = offset + RECORD_BYTES + index * bytes;
      const low = BigInt(view.getUint32(at + 4, true));
      const raw = shape.wide ? (BigInt(view.getUint32(at + 8, true)) << 32n) | low : low;
      return {
        name: this.string(view.getUint32(at, true)),
        value: shape.flag ? BigInt.asIntN(shape.wide ? 64 : 32, raw) : raw,
      };
    });
  }

  #linkage(offset: number, number: number): BtfLinkage {
    const linkage = linkages[number];
    if (linkage === undefined) throw this.error(offset, `unknown linkage ${number}`);
    return linkage;
  }
}

function isModifier(type: BtfType): type is BtfModifier {
  return (
    type.kind === 'typedef' ||
    type.kind === 'const' ||
    type.kind === 'volatile' ||
    type.kind === 'restrict' ||
    type.kind === 'type-tag'
  );
}

/** Reads `.BTF` bytes of an object or `/sys/kernel/btf/vmlinux`; `name` stands in errors. */
export function parseBtf(bytes: Uint8Array, name: string): Btf {
  return new Btf(bytes, name);
}
