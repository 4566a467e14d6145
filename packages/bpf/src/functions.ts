/** Splits an object's code into functions and says what each one refers to. */
import type { BtfExt } from './btf-ext.ts';
import type { ElfFile, ElfRelocation, ElfSection, ElfSymbol } from './elf.ts';
import { INSTRUCTION_BYTES, OPCODE_CALL, OPCODE_LD_IMM64, PseudoSource } from './instruction.ts';
import { SectionReader } from './section-reader.ts';
import type { FunctionSpec, Reference } from './spec.ts';

/** What the relocations of code can point at. */
export interface Targets {
  readonly object: string;
  readonly elf: ElfFile;
  /** Where in `.maps` each map stands. */
  readonly mapAt: ReadonlyMap<number, string>;
  readonly dataSections: ReadonlySet<string>;
}

interface Span {
  readonly symbol: ElfSymbol;
  readonly start: number;
  readonly end: number;
}

export function readFunctions(targets: Targets, ext: BtfExt): FunctionSpec[] {
  const code = targets.elf.sections.filter((section) => section.executable && section.data.length > 0);
  return code.flatMap((section) => {
    const reader = new SectionReader(section.data, { object: targets.object, section: section.name });
    const spans = functionSpans(targets.elf, section, reader);
    checkRelocations(section, spans, reader);
    const infos = ext.functions.get(section.name) ?? [];
    return spans.map((span): FunctionSpec => {
      const first = span.start / INSTRUCTION_BYTES;
      const last = span.end / INSTRUCTION_BYTES;
      const own = <T extends { readonly instruction: number }>(records: readonly T[] | undefined): T[] =>
        (records ?? [])
          .filter(({ instruction }) => instruction >= first && instruction < last)
          .map((record) => ({ ...record, instruction: record.instruction - first }))
          .sort((left, right) => left.instruction - right.instruction);
      return {
        name: span.symbol.name,
        section: section.name,
        linkage: span.symbol.binding === 'local' ? 'static' : 'global',
        sectionOffset: first,
        instructions: section.data.slice(span.start, span.end),
        references: readReferences(targets, { section, reader, span }),
        typeId: infos.find(({ instruction }) => instruction === first)?.typeId ?? 0,
        lines: own(ext.lines.get(section.name)),
        coreRelocations: own(ext.coreRelocations.get(section.name)),
      };
    });
  });
}

function functionSpans(elf: ElfFile, section: ElfSection, reader: SectionReader): Span[] {
  const spans = elf.symbols
    .filter((symbol) => symbol.kind === 'function' && symbol.section === section.index)
    .map((symbol) => ({ symbol, start: symbol.value, end: symbol.value + symbol.size }))
    .sort((left, right) => left.start - right.start);
  let previousEnd = 0;
  for (const { symbol, start, end } of spans) {
    if (end > section.data.length || start % INSTRUCTION_BYTES !== 0 || end % INSTRUCTION_BYTES !== 0 || end <= start) {
      throw reader.error(start, `function ${symbol.name} of ${symbol.size} bytes does not fit`);
    }
    if (start < previousEnd) throw reader.error(start, `function ${symbol.name} overlaps the one before`);
    previousEnd = end;
  }
  return spans;
}

function checkRelocations(section: ElfSection, spans: readonly Span[], reader: SectionReader): void {
  for (const { offset } of section.relocations) {
    if (offset % INSTRUCTION_BYTES !== 0 || !spans.some(({ start, end }) => offset >= start && offset < end)) {
      throw reader.error(offset, 'relocation of what is not an instruction of a function');
    }
  }
}

interface Code {
  readonly section: ElfSection;
  readonly reader: SectionReader;
  readonly span: Span;
}

function readReferences(targets: Targets, code: Code): Reference[] {
  const { reader, span } = code;
  const byOffset = new Map(code.section.relocations.map((relocation) => [relocation.offset, relocation]));
  const references: Reference[] = [];
  for (let at = span.start; at < span.end; at += INSTRUCTION_BYTES) {
    const opcode = reader.u8(at);
    const relocation = byOffset.get(at);
    const place = { at, instruction: (at - span.start) / INSTRUCTION_BYTES };
    if (opcode === OPCODE_LD_IMM64) {
      if (at + 2 * INSTRUCTION_BYTES > span.end) throw reader.error(at, 'ld_imm64 without its second half');
      if (relocation !== undefined) references.push(loadReference(targets, { reader, relocation, ...place }));
      at += INSTRUCTION_BYTES;
    } else if (opcode === OPCODE_CALL && (relocation !== undefined || reader.u8(at + 1) >> 4 === PseudoSource.call)) {
      references.push(callReference(targets, { ...code, relocation, ...place }));
    } else if (relocation !== undefined) {
      throw reader.error(at, `relocation of opcode 0x${opcode.toString(16)} against "${relocation.symbol.name}"`);
    }
  }
  return references;
}

function loadReference(
  targets: Targets,
  load: { reader: SectionReader; relocation: ElfRelocation; at: number; instruction: number },
): Reference {
  const { reader, at, instruction } = load;
  const { symbol } = load.relocation;
  const section = targets.elf.sections[symbol.section ?? -1];
  if (section === undefined) {
    throw reader.error(at, `address of extern "${symbol.name}": only calls of kernel functions are supported`);
  }
  // RELA-less ELF: the addend stands in the instruction.
  const offset = symbol.value + reader.i32(at + 4);
  if (section.name === '.maps') {
    const map = targets.mapAt.get(offset);
    if (map === undefined) throw reader.error(at, `no map at offset ${offset} of .maps`);
    return { kind: 'map', instruction, map };
  }
  if (section.executable) {
    return { kind: 'callback', instruction, function: functionAt(targets, { section, offset, reader, at }) };
  }
  if (!targets.dataSections.has(section.name)) throw reader.error(at, `address in section "${section.name}"`);
  if (offset < 0 || offset > section.data.length) throw reader.error(at, `offset ${offset} of ${section.name}`);
  return { kind: 'data', instruction, section: section.name, offset };
}

function callReference(
  targets: Targets,
  call: Code & { relocation: ElfRelocation | undefined; at: number; instruction: number },
): Reference {
  const { reader, relocation, at, instruction } = call;
  const relative = (reader.i32(at + 4) + 1) * INSTRUCTION_BYTES;
  if (relocation === undefined) {
    const target = { section: call.section, offset: at + relative, reader, at };
    return { kind: 'call', instruction, function: functionAt(targets, target) };
  }
  const { symbol } = relocation;
  if (symbol.section === undefined) {
    return { kind: 'kfunc', instruction, name: symbol.name, weak: symbol.binding === 'weak' };
  }
  const section = targets.elf.sections[symbol.section];
  if (section === undefined) throw reader.error(at, `call into section ${symbol.section}`);
  return {
    kind: 'call',
    instruction,
    function: functionAt(targets, { section, offset: symbol.value + relative, reader, at }),
  };
}

function functionAt(
  targets: Targets,
  target: { section: ElfSection; offset: number; reader: SectionReader; at: number },
): string {
  const { section, offset } = target;
  const symbol = targets.elf.symbols.find(
    (candidate) => candidate.kind === 'function' && candidate.section === section.index && candidate.value === offset,
  );
  if (symbol === undefined) throw target.reader.error(target.at, `no function at offset ${offset} of ${section.name}`);
  return symbol.name;
}
