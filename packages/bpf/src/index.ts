/**
 * An eBPF library: compiled objects in, maps, programs and links in the kernel out. It speaks bpf(2) itself, without
 * libbpf and without a compiler, and knows nothing of Sluice. It does not write programs and does not decide what to
 * attach where. One direction only: bytes -> spec (`parseObject`, pure) -> loaded object (needs the kernel) -> link.
 * Begin with `spec.ts` for the nouns.
 */
export { type Btf, parseBtf } from './btf.ts';
export type {
  BtfArray,
  BtfComposite,
  BtfEnum,
  BtfEnumValue,
  BtfFunction,
  BtfInt,
  BtfKind,
  BtfLinkage,
  BtfMember,
  BtfModifier,
  BtfParameter,
  BtfSection,
  BtfSectionVariable,
  BtfType,
  BtfVariable,
} from './btf-type.ts';
export { BpfFormatError } from './format-error.ts';
export {
  type Codec,
  type CoreRelocation,
  type CoreRelocationKind,
  coreRelocationKinds,
  type DataSectionSpec,
  type FunctionSpec,
  type LineInfo,
  type LinkedProgram,
  type MapDescriptor,
  type MapSpec,
  type ObjectSpec,
  type ProgramSpec,
  type Reference,
  type VariableSpec,
} from './spec.ts';
