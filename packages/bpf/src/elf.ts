/** ELF relocatable objects as clang writes them for BPF: sections, symbols, relocations. */
import { SectionReader } from './section-reader.ts';

const ELF_HEADER_BYTES = 64;
const SECTION_HEADER_BYTES = 64;
const SYMBOL_BYTES = 24;
const RELOCATION_BYTES = 16;
const EM_BPF = 247;
const ET_REL = 1;
const SHT_SYMTAB = 2;
const SHT_NOBITS = 8;
const SHT_REL = 9;
const SHF_ALLOC = 2;
const SHF_EXECINSTR = 4;
/** Zeroed data that we are willing to hold for one object: one that asks for more is damaged or not ours to load. */
const ZEROED_BYTES_MAX = 16 << 20;

export interface ElfSection {
  readonly index: number;
  readonly name: string;
  /** Zeros for `.bss`. */
  readonly data: Uint8Array;
  readonly allocated: boolean;
  readonly executable: boolean;
  /** Sorted by offset. */
  readonly relocations: readonly ElfRelocation[];
}

export interface ElfRelocation {
  readonly offset: number;
  /** R_BPF_*: 1 ld_imm64, 2 64-bit data, 3 and 4 32-bit data, 10 call. */
  readonly type: number;
  readonly symbol: ElfSymbol;
}

export interface ElfSymbol {
  /** Empty for section symbols. */
  readonly name: string;
  readonly kind: 'object' | 'function' | 'section' | 'other';
  readonly binding: 'local' | 'global' | 'weak';
  /** Undefined for externs (and absolute symbols, which BPF objects do not use). */
  readonly section: number | undefined;
  readonly value: number;
  readonly size: number;
}

export interface ElfFile {
  readonly sections: readonly ElfSection[];
  readonly symbols: readonly ElfSymbol[];
}

interface SectionHeader {
  readonly name: string;
  readonly type: number;
  readonly flags: number;
  readonly data: Uint8Array;
  readonly link: number;
  readonly info: number;
}

/** Reads an object file; throws BpfFormatError, in which `object` is the given name. */
export function parseElf(bytes: Uint8Array, object: string): ElfFile {
  const file = new SectionReader(bytes, { object, section: 'ELF header' });
  checkHeader(file);
  const headers = readSectionHeaders(file);
  const symbols = readSymbols(headers, object);
  const relocations = readRelocations(headers, symbols, object);
  const sections = headers.map((header, index) => ({
    index,
    name: header.name,
    data: header.data,
    allocated: (header.flags & SHF_ALLOC) !== 0,
    executable: (header.flags & SHF_EXECINSTR) !== 0,
    relocations: relocations.get(index) ?? [],
  }));
  return { sections, symbols };
}

function checkHeader(file: SectionReader): void {
  if (file.length < ELF_HEADER_BYTES) throw file.error(0, `${file.length} bytes are less than an ELF header`);
  if (file.u32(0) !== 0x464c457f) throw file.error(0, 'this is not an ELF file');
  if (file.u8(4) !== 2) throw file.error(4, 'not a 64-bit file');
  if (file.u8(5) !== 1) throw file.error(5, 'not little-endian');
  if (file.u16(16) !== ET_REL) throw file.error(16, 'not a relocatable object (compile with -c, do not link)');
  if (file.u16(18) !== EM_BPF) throw file.error(18, `machine ${file.u16(18)} is not BPF (${EM_BPF})`);
}

function readSectionHeaders(file: SectionReader): SectionHeader[] {
  const start = file.u64(40);
  const entryBytes = file.u16(58);
  const count = file.u16(60);
  const namesIndex = file.u16(62);
  if (entryBytes !== SECTION_HEADER_BYTES) throw file.error(58, `section headers of ${entryBytes} bytes`);
  if (start + count * SECTION_HEADER_BYTES > file.length) throw file.error(40, `${count} section headers do not fit`);
  let zeroedBytes = 0;
  const raw = Array.from({ length: count }, (_, index) => {
    const at = start + index * SECTION_HEADER_BYTES;
    const type = file.u32(at + 4);
    const size = file.u64(at + 32);
    if (type === SHT_NOBITS) zeroedBytes += size;
    if (zeroedBytes > ZEROED_BYTES_MAX) throw file.error(at + 32, `${zeroedBytes} bytes of zeroed data`);
    return {
      at,
      nameOffset: file.u32(at),
      type,
      flags: Number(file.u64(at + 8)),
      data: sectionData(file, { type, offset: file.u64(at + 24), size }),
      link: file.u32(at + 40),
      info: file.u32(at + 44),
    };
  });
  const names = raw[namesIndex];
  if (names === undefined) throw file.error(62, `names in section ${namesIndex} of ${count}`);
  const strings = new SectionReader(names.data, { object: file.object, section: 'section names' });
  return raw.map((header) => ({ ...header, name: header.type === 0 ? '' : strings.string(header.nameOffset) }));
}

function sectionData(file: SectionReader, place: { type: number; offset: number; size: number }): Uint8Array {
  if (place.type === 0) return new Uint8Array(0);
  if (place.type === SHT_NOBITS) return new Uint8Array(place.size);
  return file.slice(place.offset, place.size);
}

function readSymbols(headers: readonly SectionHeader[], object: string): ElfSymbol[] {
  const table = headers.find((header) => header.type === SHT_SYMTAB);
  if (table === undefined) return [];
  const reader = new SectionReader(table.data, { object, section: table.name });
  const names = headers[table.link];
  if (names === undefined) throw reader.error(0, `names in section ${table.link} of ${headers.length}`);
  const strings = new SectionReader(names.data, { object, section: names.name });
  return Array.from({ length: Math.floor(table.data.length / SYMBOL_BYTES) }, (_, index) => {
    const at = index * SYMBOL_BYTES;
    const nameOffset = reader.u32(at);
    const info = reader.u8(at + 4);
    const section = reader.u16(at + 6);
    return {
      name: nameOffset === 0 ? '' : strings.string(nameOffset),
      kind: symbolKind(info & 0xf),
      binding: symbolBinding(info >> 4),
      section: section === 0 || section >= headers.length ? undefined : section,
      value: reader.u64(at + 8),
      size: reader.u64(at + 16),
    };
  });
}

function symbolKind(type: number): ElfSymbol['kind'] {
  return type === 1 ? 'object' : type === 2 ? 'function' : type === 3 ? 'section' : 'other';
}

function symbolBinding(binding: number): ElfSymbol['binding'] {
  return binding === 0 ? 'local' : binding === 2 ? 'weak' : 'global';
}

function readRelocations(
  headers: readonly SectionHeader[],
  symbols: readonly ElfSymbol[],
  object: string,
): Map<number, ElfRelocation[]> {
  const bySection = new Map<number, ElfRelocation[]>();
  for (const header of headers) {
    if (header.type !== SHT_REL) continue;
    const reader = new SectionReader(header.data, { object, section: header.name });
    const relocations = Array.from({ length: Math.floor(header.data.length / RELOCATION_BYTES) }, (_, index) => {
      const at = index * RELOCATION_BYTES;
      const symbol = symbols[reader.u32(at + 12)];
      if (symbol === undefined) throw reader.error(at + 12, `symbol ${reader.u32(at + 12)} of ${symbols.length}`);
      return { offset: reader.u64(at), type: reader.u32(at + 8), symbol };
    });
    bySection.set(
      header.info,
      relocations.sort((left, right) => left.offset - right.offset),
    );
  }
  return bySection;
}
