/** Layouts as text: what people compare when the kernel and TypeScript disagree, and what the load compares. */
import type { Btf } from './btf.ts';

/** Nesting beyond this is damage (a struct that holds itself), not C. */
const DEPTH_MAX = 16;
/** Members of all levels together; the kernel allows more, a map's value never has them. */
const LINES_MAX = 4096;

/**
 * One line per member: offset, size, name, type as declared in C; nested structs indented.
 *
 *     struct backend, 32 bytes
 *        0   16 address: struct address
 *        0   16   words: __be32[4]
 *       16    2 port: __be16
 */
export function layoutText(btf: Btf, typeId: number): string {
  const lines = [`${typeName(btf, typeId)}, ${btf.sizeOf(typeId)} bytes`];
  addMembers(btf, typeId, { lines, bitOffset: 0, depth: 0 });
  return lines.join('\n');
}

function addMembers(btf: Btf, typeId: number, place: { lines: string[]; bitOffset: number; depth: number }): void {
  const { lines, depth } = place;
  const type = btf.resolve(typeId);
  if (type.kind === 'array') addMembers(btf, type.elementTypeId, place);
  if (type.kind !== 'struct' && type.kind !== 'union') return;
  if (depth > DEPTH_MAX || lines.length + type.members.length > LINES_MAX) {
    throw btf.error(btf.recordOffset(type.id), `${type.kind} ${type.name} is nested too deeply to be laid out`);
  }
  for (const member of type.members) {
    const bitOffset = place.bitOffset + member.bitOffset;
    const bits = member.bitfieldSize === 0 ? '' : ` : ${member.bitfieldSize} bits`;
    const offset = String(Math.floor(bitOffset / 8)).padStart(4);
    const size = String(btf.sizeOf(member.typeId)).padStart(4);
    lines.push(`${offset} ${size} ${'  '.repeat(depth)}${member.name}: ${typeName(btf, member.typeId)}${bits}`);
    addMembers(btf, member.typeId, { lines, bitOffset, depth: depth + 1 });
  }
}

/** Room for later versions: written as zeros and not part of the generated interface. */
export function isReserved(name: string): boolean {
  return /^(reserved|pad|padding)_?\d*$/.test(name);
}

/**
 * Whether two versions can share rows: the same name and size, and where they differ one has reserved room. The one
 * that does not know a field writes zeros there, which every field must take for "as before".
 */
export function layoutsCompatible(left: string, right: string): boolean {
  if (left === right) return true;
  const [leftLines, rightLines] = [readLayout(left), readLayout(right)];
  return left.split('\n')[0] === right.split('\n')[0] && fits(leftLines, rightLines) && fits(rightLines, leftLines);
}

interface LayoutLine {
  readonly text: string;
  readonly name: string;
  readonly start: number;
  readonly end: number;
}

function readLayout(layout: string): LayoutLine[] {
  return layout.split('\n').flatMap((text) => {
    const [, offset, size, name] = /^ *(\d+) +(\d+) +(\S*):/.exec(text) ?? [];
    if (name === undefined) return [];
    return [{ text, name, start: Number(offset), end: Number(offset) + Number(size) }];
  });
}

function fits(lines: readonly LayoutLine[], other: readonly LayoutLine[]): boolean {
  const same = new Set(other.map(({ text }) => text));
  const room = other.filter(({ name }) => isReserved(name));
  return lines.every(
    (line) =>
      isReserved(line.name) ||
      same.has(line.text) ||
      room.some(({ start, end }) => start <= line.start && line.end <= end),
  );
}

/** As it would stand in C, qualifiers left out. */
export function typeName(btf: Btf, typeId: number): string {
  let suffix = '';
  let id = typeId;
  for (let depth = 0; depth < 4 * DEPTH_MAX; depth++) {
    const type = btf.type(id);
    switch (type.kind) {
      case 'const':
      case 'volatile':
      case 'restrict':
      case 'type-tag':
        id = type.typeId;
        break;
      case 'array':
        suffix = `${suffix}[${type.length}]`;
        id = type.elementTypeId;
        break;
      case 'pointer':
        suffix = `*${suffix}`;
        id = type.typeId;
        break;
      case 'struct':
      case 'union':
      case 'enum':
        return `${type.kind} ${type.name === '' ? '{}' : type.name}${suffix}`;
      case 'void':
        return `void${suffix}`;
      default:
        return `${type.name === '' ? type.kind : type.name}${suffix}`;
    }
  }
  throw btf.error(btf.recordOffset(typeId), `type ${typeId} is a chain without an end`);
}
