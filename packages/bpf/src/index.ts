/**
 * An eBPF library: compiled objects in, maps, programs and links in the kernel out. It speaks bpf(2) itself, without
 * libbpf and without a compiler, and knows nothing of Sluice. It does not write programs and does not decide what to
 * attach where. One direction only: bytes -> spec (`parseObject`, pure) -> loaded object (needs the kernel) -> link.
 * Begin with `spec.ts` for the nouns.
 */
export { bindReferences, type KernelBinding } from './bind-references.ts';
export { BindingError } from './bindings/binding-error.ts';
export { type BindingOptions, generateBindings } from './bindings/generate.ts';
export type { External, Externals } from './bindings/value-type.ts';
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
export { relocateCore } from './core.ts';
export { type ElfFile, type ElfRelocation, type ElfSection, type ElfSymbol, parseElf } from './elf.ts';
export { createFakeMap, type FakeMapOptions, type MapOperation } from './fake-map.ts';
export { features } from './feature-table.ts';
export { type Feature, isVersionAtLeast, kernelVersion, probeFeatures, requireFeatures } from './features.ts';
export { BpfFormatError } from './format-error.ts';
export { readIterator } from './iterator.ts';
export { readKernelBtf } from './kernel-btf.ts';
export { isPerCpuType, LinkType, MapFlag, MapType, mapTypeName, programTypeName } from './kernel-constants.ts';
export { layoutText } from './layout.ts';
export { checkMapLayout, checkObjectLayout } from './layout-check.ts';
export { LayoutMismatchError } from './layout-mismatch-error.ts';
export {
  type AttachCgroupOptions,
  type AttachedProgram,
  type AttachTcxOptions,
  type AttachXdpOptions,
  attachCgroup,
  attachIterator,
  attachTcx,
  attachTracepoint,
  attachXdp,
  Link,
  type LinkInfo,
  queryCgroup,
  queryTcx,
  type TcxHook,
  type XdpMode,
} from './link.ts';
export { linkProgram } from './link-program.ts';
export { type LoadedObject, type LoadOptions, loadObject } from './load-object.ts';
export { type LoadedBtf, loadBtf } from './loaded-btf.ts';
export { BpfMap, type MapCreateSpec, type MapInfo } from './map.ts';
export { type CountedOperation, type MapCounts, mapCounts, type OperationCount } from './map-counts.ts';
export { isMapReusable, type MapMigration, planMigration } from './map-migration.ts';
export { NotSupportedError } from './not-supported-error.ts';
export { parseObject } from './object.ts';
export { perCpu, possibleCpus } from './per-cpu.ts';
export { isPinned, unpin } from './pin.ts';
export {
  enableStatistics,
  Program,
  type ProgramInfo,
  type ProgramStatistics,
  type TestRunOptions,
  type TestRunResult,
} from './program.ts';
export { type LoadableProgram, loadProgram } from './program-load.ts';
export { AttachType, ProgramType } from './program-type.ts';
export { openRingBuffer, type RingBuffer, type RingBufferOptions } from './ring-buffer.ts';
export {
  arrayCodec,
  be16Codec,
  be32Codec,
  be64Codec,
  boolCodec,
  bytesCodec,
  encodeValue,
  i8Codec,
  i16Codec,
  i32Codec,
  i64Codec,
  nothingCodec,
  u8Codec,
  u16Codec,
  u32Codec,
  u64Codec,
  wordsCodec,
  zeroBytes,
} from './scalar-codec.ts';
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
export { openMap, type TypedMap, type UpdateMode } from './typed-map.ts';
export { type SourceLine, VerifierError } from './verifier-error.ts';
