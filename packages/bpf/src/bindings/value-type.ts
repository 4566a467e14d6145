/** What a C type is in TypeScript, and which codec reads it. */
import type { Btf } from '../btf.ts';
import type { BtfComposite, BtfEnum, BtfInt } from '../btf-type.ts';
import { BindingError } from './binding-error.ts';
import { camelCase, pascalCase } from './names.ts';

/** Bytes and 16-bit numbers of up to this many stand in a list (flags, states); more of them are data. */
const NUMBERS_MAX = 16;

export interface ScalarType {
  readonly kind: 'scalar';
  /** `u32`, `be16`, `bool`; the codec is `${name}Codec`. */
  readonly name: string;
  readonly size: number;
  readonly type: 'number' | 'bigint' | 'boolean';
  /** DataView's accessor without `get` or `set`; undefined for booleans. */
  readonly accessor: string | undefined;
  readonly bigEndian: boolean;
}

export type ValueType =
  | ScalarType
  | { readonly kind: 'enum'; readonly size: number; readonly enum: BtfEnum }
  | { readonly kind: 'struct'; readonly size: number; readonly struct: BtfComposite }
  | { readonly kind: 'bytes' | 'words'; readonly size: number }
  | { readonly kind: 'array'; readonly size: number; readonly element: ValueType; readonly length: number };

/** `declaration` is what messages name, such as `struct backend.port`. */
export function valueType(btf: Btf, typeId: number, declaration: string): ValueType {
  const refuse = (problem: string) => new BindingError(btf.name, declaration, problem);
  const type = btf.resolve(typeId);
  switch (type.kind) {
    case 'int':
      return scalarType(type, { bigEndian: isBigEndian(btf, typeId), refuse });
    case 'enum':
      if (type.name === '') throw refuse('an anonymous enum has no name to go by');
      return { kind: 'enum', size: type.size, enum: type };
    case 'struct':
      if (type.name === '') throw refuse('an anonymous struct has no name to go by');
      return { kind: 'struct', size: type.size, struct: type };
    case 'array': {
      // Also refuses an array that holds itself.
      btf.sizeOf(typeId);
      const element = valueType(btf, type.elementTypeId, declaration);
      if (isArray(element)) throw refuse('arrays of arrays are not supported');
      const size = element.size * type.length;
      const data = element.kind === 'scalar' && type.length > NUMBERS_MAX ? dataKinds[element.name] : undefined;
      return data === undefined ? { kind: 'array', size, element, length: type.length } : { kind: data, size };
    }
    case 'pointer':
      throw refuse('a pointer means nothing outside of the kernel');
    default:
      throw refuse(`a ${type.kind} is not supported`);
  }
}

const dataKinds: Readonly<Record<string, 'bytes' | 'words'>> = { u8: 'bytes', u16: 'words' };

/** Has a codec of its own in the struct that holds it. */
export function isArray({ kind }: ValueType): boolean {
  return kind === 'array' || kind === 'bytes' || kind === 'words';
}

function scalarType(
  int: BtfInt,
  context: { bigEndian: boolean; refuse: (problem: string) => BindingError },
): ScalarType {
  const { bigEndian, refuse } = context;
  if (/\blong\b/.test(int.name) && !/long long/.test(int.name)) {
    throw refuse(`"${int.name}" differs in size between BPF and the machine: use __u32 or __u64`);
  }
  if (int.bool) return { kind: 'scalar', name: 'bool', size: 1, type: 'boolean', accessor: undefined, bigEndian };
  if (![1, 2, 4, 8].includes(int.size)) throw refuse(`an integer of ${int.size} bytes is not supported`);
  const bits = int.size * 8;
  const sign = int.signed ? 'Int' : 'Uint';
  return {
    kind: 'scalar',
    name: bigEndian && bits > 8 ? `be${bits}` : `${int.signed ? 'i' : 'u'}${bits}`,
    size: int.size,
    type: bits === 64 ? 'bigint' : 'number',
    accessor: bits === 64 ? `Big${sign}64` : `${sign}${bits}`,
    bigEndian,
  };
}

/** The kernel's own names for wire order, which sparse checks in C. */
function isBigEndian(btf: Btf, typeId: number): boolean {
  let id = typeId;
  for (;;) {
    const type = btf.type(id);
    if (type.kind === 'typedef' && /^__be(16|32|64)$/.test(type.name)) return true;
    if (type.kind !== 'typedef' && type.kind !== 'const' && type.kind !== 'volatile') return false;
    id = type.typeId;
  }
}

/** The struct that a type is or holds; its fields must be bound, too. */
export function structWithin(type: ValueType): BtfComposite | undefined {
  if (type.kind === 'struct') return type.struct;
  return type.kind === 'array' ? structWithin(type.element) : undefined;
}

export function enumWithin(type: ValueType): BtfEnum | undefined {
  if (type.kind === 'enum') return type.enum;
  return type.kind === 'array' ? enumWithin(type.element) : undefined;
}

/** A struct whose TypeScript side is written by hand. */
export interface External {
  /** The type as it stands in an interface: `Address | undefined`. */
  readonly type: string;
  /** The name to import for it: `Address`. */
  readonly typeName: string;
  readonly codec: string;
  /** Module specifier. */
  readonly from: string;
}

export type Externals = Readonly<Record<string, External>>;

/** The type in an interface. */
export function typeText(type: ValueType, externals: Externals): string {
  switch (type.kind) {
    case 'scalar':
      return type.type;
    case 'enum':
      return pascalCase(type.enum.name);
    case 'bytes':
      return 'Uint8Array';
    case 'words':
      return 'Uint16Array';
    case 'struct':
      return externals[type.struct.name]?.type ?? pascalCase(type.struct.name);
    case 'array': {
      const element = typeText(type.element, externals);
      return element.includes(' ') ? `readonly (${element})[]` : `readonly ${element}[]`;
    }
  }
}

/** An expression that is the codec. */
export function codecText(type: ValueType, externals: Externals): string {
  switch (type.kind) {
    case 'scalar':
      return `${type.name}Codec`;
    case 'enum':
      return `${camelCase(type.enum.name)}Codec`;
    case 'bytes':
      return `bytesCodec(${type.size})`;
    case 'words':
      return `wordsCodec(${type.size / 2})`;
    case 'struct':
      return externals[type.struct.name]?.codec ?? `${camelCase(type.struct.name)}Codec`;
    case 'array':
      return `arrayCodec(${codecText(type.element, externals)}, ${type.length})`;
  }
}
