/** How a key or value of one layout becomes one of another: by the names of its fields. */
import { isReserved } from './layout.ts';

export interface FieldsPlan {
  /** False: a number does not fit into the smaller field that it has now. */
  copy(from: DataView, fromOffset: number, to: DataView, toOffset: number): boolean;
  /** Fields that the new layout lacks, by their paths: `dnat.port`. */
  readonly lost: readonly string[];
  /** Those that it has more; they are zeros, which every field must take for "as before". */
  readonly added: readonly string[];
}

/**
 * Both as `layoutText` prints them. Numbers of the machine's byte order may change their width, arrays their length; a
 * TypeError names what changed in another way.
 */
export function planFields(from: string, to: string): FieldsPlan {
  const [before, after] = [readFields(from), readFields(to)];
  const pairs = after.flatMap((field) => {
    const old = before.find(({ path }) => path === field.path);
    return old === undefined ? [] : [copyOf(old, field)];
  });
  const pathsMissingIn = (fields: readonly Field[], of: readonly Field[]) =>
    of.map(({ path }) => path).filter((path) => !fields.some((field) => field.path === path));
  return {
    lost: pathsMissingIn(after, before),
    added: pathsMissingIn(before, after),
    copy: (source, sourceOffset, target, targetOffset) =>
      pairs.every((pair) => pair(source, sourceOffset, target, targetOffset)),
  };
}

/** Reads a number of the machine's byte order out of a row; undefined: the layout, as `layoutText` prints it, has none of this path. */
export function numberIn(layout: string, path: string): ((row: DataView, offset: number) => bigint) | undefined {
  const field = readFields(layout).find((one) => one.path === path);
  const number = field && numberOf(field.type);
  return field && number && ((row, offset) => number.read(row, offset + field.offset));
}

type Copy = FieldsPlan['copy'];

/** What is copied as one: a member that is no struct, or an array of structs as a whole. */
interface Field {
  readonly path: string;
  readonly offset: number;
  readonly size: number;
  readonly type: string;
}

const HEAD = /^(.*), (\d+) bytes$/;
const MEMBER = /^ *(\d+) +(\d+) ( *)(\S*): (.*)$/;

function readFields(layout: string): Field[] {
  const [head = '', ...lines] = layout.split('\n');
  const [, type = '', size = '0'] = HEAD.exec(head) ?? [];
  if (lines.length === 0) return [{ path: '', offset: 0, size: Number(size), type }];
  const names: string[] = [];
  const fields: Field[] = [];
  // Deeper than this is inside an array of structs, whose member it describes.
  let arrayDepth = Infinity;
  for (const line of lines) {
    const [, offset, bytes, indent = '', name = '', of = ''] = MEMBER.exec(line) ?? [];
    const depth = indent.length / 2;
    if (depth > arrayDepth) {
      const array = fields.at(-1);
      if (array !== undefined) fields[fields.length - 1] = { ...array, type: `${array.type}\n${line.trim()}` };
      continue;
    }
    arrayDepth = Infinity;
    names.length = depth;
    names.push(name);
    const isArray = of.endsWith(']');
    if (isArray) arrayDepth = depth;
    if (isReserved(name) || (!isArray && /^(struct|union) /.test(of))) continue;
    fields.push({ path: names.join('.'), offset: Number(offset), size: Number(bytes), type: of });
  }
  return fields;
}

function copyOf(from: Field, to: Field): Copy {
  const [fromType, toType] = [elementOf(from.type), elementOf(to.type)];
  if (fromType === toType && (from.type === to.type || from.type.includes('[')))
    return copyBytes(from, to, Math.min(from.size, to.size));
  const [fromNumber, toNumber] = [numberOf(from.type), numberOf(to.type)];
  if (fromNumber === undefined || toNumber === undefined) {
    throw new TypeError(`${to.path || 'the row'} was ${from.type} and is ${to.type} now: neither reads as the other`);
  }
  return (source, sourceOffset, target, targetOffset) => {
    const value = fromNumber.read(source, sourceOffset + from.offset);
    return toNumber.write(target, targetOffset + to.offset, value);
  };
}

function copyBytes(from: Field, to: Field, length: number): Copy {
  return (source, sourceOffset, target, targetOffset) => {
    const bytes = new Uint8Array(source.buffer, source.byteOffset + sourceOffset + from.offset, length);
    new Uint8Array(target.buffer, target.byteOffset + targetOffset + to.offset, length).set(bytes);
    return true;
  };
}

/** Without the length of an array. */
const elementOf = (type: string): string => type.replace(/\[\d+\]/, '[]');

interface NumberField {
  read(view: DataView, offset: number): bigint;
  write(view: DataView, offset: number, value: bigint): boolean;
}

/** Of the machine's byte order, which is little-endian wherever we run; undefined for everything else. */
function numberOf(type: string): NumberField | undefined {
  const [, sign, bits] = /^__([us])(8|16|32|64)$/.exec(type) ?? [];
  if (bits === undefined) return undefined;
  const size = Number(bits) / 8;
  const signed = sign === 's';
  const cut = (value: bigint) => (signed ? BigInt.asIntN(8 * size, value) : BigInt.asUintN(8 * size, value));
  return {
    read(view, offset) {
      if (size === 8) return cut(view.getBigUint64(offset, true));
      let value = 0n;
      for (let index = size - 1; index >= 0; index -= 1) value = (value << 8n) | BigInt(view.getUint8(offset + index));
      return cut(value);
    },
    write(view, offset, value) {
      for (let index = 0; index < size; index += 1) {
        view.setUint8(offset + index, Number((value >> BigInt(8 * index)) & 0xffn));
      }
      return cut(value) === value;
    },
  };
}
