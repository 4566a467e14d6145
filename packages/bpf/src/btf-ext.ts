/** `.BTF.ext`: per section, which function, source line and CO-RE relocation belongs to which instruction. */
import type { Btf } from './btf.ts';
import { SectionReader } from './section-reader.ts';
import { type CoreRelocation, coreRelocationKinds, type LineInfo } from './spec.ts';

export interface FunctionInfo {
  readonly instruction: number;
  readonly typeId: number;
}

/** Instructions count from the start of the ELF section named by the key. */
export interface BtfExt {
  readonly functions: ReadonlyMap<string, readonly FunctionInfo[]>;
  readonly lines: ReadonlyMap<string, readonly LineInfo[]>;
  readonly coreRelocations: ReadonlyMap<string, readonly CoreRelocation[]>;
}

const INSTRUCTION_BYTES = 8;

export function parseBtfExt(bytes: Uint8Array, btf: Btf): BtfExt {
  const reader = new SectionReader(bytes, { object: btf.name, section: '.BTF.ext' });
  if (reader.u16(0) !== 0xeb9f) throw reader.error(0, 'magic is not that of BTF');
  if (reader.u8(2) !== 1) throw reader.error(2, `version ${reader.u8(2)} is not 1`);
  const headerBytes = reader.u32(4);
  /** Headers before CO-RE had 24 bytes. */
  const table = <T>(at: number, recordBytes: number, read: (at: number) => T): ReadonlyMap<string, readonly T[]> =>
    at + 8 > headerBytes
      ? new Map()
      : readTable({ reader, btf, start: headerBytes + reader.u32(at), length: reader.u32(at + 4), recordBytes, read });
  return {
    functions: table(8, 8, (at) => ({ instruction: instructionAt(reader, at), typeId: reader.u32(at + 4) })),
    lines: table(16, 16, (at) => {
      const position = reader.u32(at + 12);
      return {
        instruction: instructionAt(reader, at),
        // Compiled with -ffile-prefix-map=…=., names begin with "./".
        file: btf.string(reader.u32(at + 4)).replace(/^\.\//, ''),
        line: position >>> 10,
        column: position & 0x3ff,
        text: btf.string(reader.u32(at + 8)),
        fileOffset: reader.u32(at + 4),
        textOffset: reader.u32(at + 8),
      };
    }),
    coreRelocations: table(24, 16, (at) => {
      const kind = coreRelocationKinds[reader.u32(at + 12)];
      if (kind === undefined) throw reader.error(at + 12, `unknown CO-RE relocation ${reader.u32(at + 12)}`);
      return {
        instruction: instructionAt(reader, at),
        kind,
        typeId: reader.u32(at + 4),
        access: btf.string(reader.u32(at + 8)),
      };
    }),
  };
}

interface TablePlace<T> {
  readonly reader: SectionReader;
  readonly btf: Btf;
  readonly start: number;
  readonly length: number;
  /** What we read of a record; newer compilers may write more. */
  readonly recordBytes: number;
  readonly read: (at: number) => T;
}

function readTable<T>(place: TablePlace<T>): Map<string, T[]> {
  const { reader, start, length } = place;
  const bySection = new Map<string, T[]>();
  if (length === 0) return bySection;
  const end = start + length;
  if (end > reader.length) throw reader.error(start, `table ends at ${end} of ${reader.length}`);
  const recordBytes = reader.u32(start);
  if (recordBytes < place.recordBytes) throw reader.error(start, `records of ${recordBytes} bytes`);
  for (let at = start + 4; at < end; ) {
    const section = place.btf.string(reader.u32(at));
    const count = reader.u32(at + 4);
    at += 8;
    if (at + count * recordBytes > end) throw reader.error(at - 4, `${count} records do not fit`);
    const records = bySection.get(section) ?? [];
    for (let index = 0; index < count; index++, at += recordBytes) records.push(place.read(at));
    bySection.set(section, records);
  }
  return bySection;
}

/** In the file the offset is in bytes. */
function instructionAt(reader: SectionReader, at: number): number {
  const offset = reader.u32(at);
  if (offset % INSTRUCTION_BYTES !== 0) throw reader.error(at, `${offset} is not the offset of an instruction`);
  return offset / INSTRUCTION_BYTES;
}
