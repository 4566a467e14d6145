import { type Btf, parseBtf } from './btf.ts';
import { type BtfExt, parseBtfExt } from './btf-ext.ts';
import type { BtfSection, BtfVariable } from './btf-type.ts';
import { type ElfFile, type ElfSection, parseElf } from './elf.ts';
import { BpfFormatError } from './format-error.ts';
import { readFunctions } from './functions.ts';
import { loadableBtf } from './loadable-btf.ts';
import { readMap } from './map-definition.ts';
import { programKind } from './program-section.ts';
import { SectionReader } from './section-reader.ts';
import type { DataSectionSpec, FunctionSpec, MapSpec, ObjectSpec, ProgramSpec, VariableSpec } from './spec.ts';

const DATA_SECTION = /^\.(rodata|data|bss)(\..*)?$/;

/**
 * Describes a compiled object; `name` stands in errors. Throws BpfFormatError for damaged bytes and for what this
 * library does not support, naming the section and the offset.
 */
export function parseObject(bytes: Uint8Array, name: string): ObjectSpec {
  // A plain view: `slice` of a Buffer would not copy.
  const elf = parseElf(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), name);
  const btf = parseBtf(requiredSection(elf, '.BTF', name).data, name);
  const extSection = elf.sections.find((section) => section.name === '.BTF.ext');
  const ext: BtfExt =
    extSection === undefined
      ? { functions: new Map(), lines: new Map(), coreRelocations: new Map() }
      : parseBtfExt(extSection.data, btf);
  const loadable = loadableBtf(btf, elf.sections);
  const placed = sectionVariables(parseBtf(loadable, name), elf);
  const maps = placed.filter(({ section }) => section.name === '.maps');
  const dataSections = readDataSections(btf, elf);
  const functions = readFunctions(
    {
      object: name,
      elf,
      mapAt: new Map(maps.map(({ offset, variable }) => [offset, variable.name])),
      dataSections: new Set(dataSections.map((section) => section.name)),
    },
    ext,
  );
  checkUnique(functions, name);
  return {
    name,
    license: readLicense(elf, name),
    btf,
    loadableBtf: loadable,
    maps: maps.map(({ variable }): MapSpec => readMap(btf, variable)),
    programs: functions.filter(isProgram).map((program) => asProgram(program, name)),
    functions: functions.filter((candidate) => !isProgram(candidate)),
    variables: placed
      .filter(({ section }) => DATA_SECTION.test(section.name))
      .map(({ section, variable, offset, size }): VariableSpec => {
        return { name: variable.name, section: section.name, offset, size, typeId: variable.typeId };
      }),
    dataSections,
  };
}

/** In `.text` stands what is called; elsewhere global functions are entry points, static ones their subprograms. */
function isProgram(candidate: FunctionSpec): boolean {
  return candidate.section !== '.text' && candidate.linkage === 'global';
}

function asProgram(candidate: FunctionSpec, object: string): ProgramSpec {
  const kind = programKind(candidate.section);
  if (kind === undefined) {
    const place = { object, section: candidate.section, offset: candidate.sectionOffset * 8 };
    throw new BpfFormatError(place, `program ${candidate.name}: the section's name tells no program type`);
  }
  return { ...candidate, ...kind };
}

interface PlacedVariable {
  readonly section: ElfSection;
  readonly variable: BtfVariable;
  readonly offset: number;
  readonly size: number;
}

function sectionVariables(btf: Btf, elf: ElfFile): PlacedVariable[] {
  const types = [...btf.types()].filter((type): type is BtfSection => type.kind === 'section');
  return types.flatMap((type) => {
    const section = elf.sections.find((candidate) => candidate.name === type.name);
    if (section === undefined) throw btf.error(btf.recordOffset(type.id), `there is no section "${type.name}"`);
    return type.variables.map(({ typeId, offset, size }) => {
      const variable = btf.type(typeId);
      const refuse = (problem: string) => btf.error(btf.recordOffset(type.id), `${type.name}: ${problem}`);
      if (variable.kind !== 'variable') throw refuse(`type ${typeId} is a ${variable.kind}, not a variable`);
      if (offset + size > section.data.length) throw refuse(`${variable.name} ends at ${offset + size}`);
      return { section, variable, offset, size };
    });
  });
}

function readDataSections(btf: Btf, elf: ElfFile): DataSectionSpec[] {
  const typeIds = new Map([...btf.types()].filter((type) => type.kind === 'section').map(({ name, id }) => [name, id]));
  return elf.sections
    .filter((section) => section.allocated && DATA_SECTION.test(section.name) && section.data.length > 0)
    .map((section) => ({
      name: section.name,
      data: section.data.slice(),
      readOnly: section.name.startsWith('.rodata'),
      typeId: typeIds.get(section.name) ?? 0,
    }));
}

function readLicense(elf: ElfFile, object: string): string {
  const section = requiredSection(elf, 'license', object);
  return new SectionReader(section.data, { object, section: 'license' }).string(0);
}

function requiredSection(elf: ElfFile, name: string, object: string): ElfSection {
  const section = elf.sections.find((candidate) => candidate.name === name);
  if (section !== undefined) return section;
  const hint = name === '.BTF' ? ': compile with -g' : '';
  throw new BpfFormatError({ object, section: 'section headers', offset: 0 }, `no section "${name}"${hint}`);
}

/** References are by name. */
function checkUnique(functions: readonly FunctionSpec[], object: string): void {
  const names = new Set<string>();
  for (const { name, section, sectionOffset } of functions) {
    if (names.has(name)) {
      throw new BpfFormatError({ object, section, offset: sectionOffset * 8 }, `a second function named ${name}`);
    }
    names.add(name);
  }
}
