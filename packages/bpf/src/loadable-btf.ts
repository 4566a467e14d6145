/**
 * What BPF_BTF_LOAD accepts. clang leaves three things to the loader: sizes of data sections, offsets of global
 * variables in them, and kfunc declarations, which the kernel does not take as they are.
 */
import type { Btf } from './btf.ts';
import type { BtfSection } from './btf-type.ts';
import type { ElfSection } from './elf.ts';

const KIND_ENUM64 = 19;
const LINKAGE_GLOBAL = 1;

export function loadableBtf(btf: Btf, sections: readonly ElfSection[]): Uint8Array {
  const bytes = Uint8Array.from(btf.bytes);
  const view = new DataView(bytes.buffer);
  applyRelocations(btf, sections, view);
  for (const type of btf.types()) {
    if (type.kind !== 'section') continue;
    if (type.name === '.ksyms') disguiseKernelFunctions(btf, type, view);
    else {
      const size = sections.find((section) => section.name === type.name)?.data.length ?? 0;
      view.setUint32(btf.recordOffset(type.id) + 8, size, true);
    }
  }
  return bytes;
}

/** Offsets of variables in their section; for static ones the addend in place has it all. */
function applyRelocations(btf: Btf, sections: readonly ElfSection[], view: DataView): void {
  const relocations = sections.find((section) => section.name === '.BTF')?.relocations ?? [];
  for (const { offset, symbol } of relocations) {
    if (offset + 4 > view.byteLength) throw btf.error(offset, 'relocation outside of the section');
    if (symbol.section !== undefined) view.setUint32(offset, view.getUint32(offset, true) + symbol.value, true);
  }
}

/**
 * The kernel refuses functions in a data section and the linkage `extern`. Nothing refers to the section, so it becomes
 * an anonymous enum64 with the functions' names: its entries have the same 12 bytes, so ids and offsets stay.
 */
function disguiseKernelFunctions(btf: Btf, section: BtfSection, view: DataView): void {
  const record = btf.recordOffset(section.id);
  view.setUint32(record, 0, true);
  view.setUint32(record + 4, ((KIND_ENUM64 << 24) | section.variables.length) >>> 0, true);
  view.setUint32(record + 8, 8, true);
  section.variables.forEach(({ typeId }, index) => {
    const entry = record + 12 + index * 12;
    const declaration = btf.type(typeId);
    if (declaration.kind !== 'function') {
      throw btf.error(record, `extern ${declaration.kind} "${declaration.name}": only kernel functions are supported`);
    }
    const functionRecord = btf.recordOffset(typeId);
    const nameOffset = view.getUint32(functionRecord, true);
    view.setUint32(entry, nameOffset, true);
    view.setUint32(entry + 4, index, true);
    view.setUint32(entry + 8, 0, true);
    const info = view.getUint32(functionRecord + 4, true);
    view.setUint32(functionRecord + 4, ((info & 0xffff0000) | LINKAGE_GLOBAL) >>> 0, true);
    nameParameters(btf, declaration.typeId, { view, nameOffset });
  });
}

/** A global function's parameters need names; clang writes none for a declaration without them. */
function nameParameters(btf: Btf, prototypeId: number, names: { view: DataView; nameOffset: number }): void {
  const prototype = btf.type(prototypeId);
  if (prototype.kind !== 'prototype') return;
  const record = btf.recordOffset(prototypeId);
  prototype.parameters.forEach((parameter, index) => {
    const entry = record + 12 + index * 8;
    if (parameter.name === '' && parameter.typeId !== 0) names.view.setUint32(entry, names.nameOffset, true);
  });
}
