/**
 * A compiled object, described. Nothing here has touched the kernel: the same bytes give the same spec everywhere.
 * `parseObject` makes it, `linkProgram` turns one of its programs into one instruction array, loading is elsewhere.
 */
import type { Btf } from './btf.ts';

export interface ObjectSpec {
  /** As given by the caller, for messages: usually the file's name without `.bpf.o`. */
  readonly name: string;
  readonly license: string;
  readonly btf: Btf;
  /** What BPF_BTF_LOAD takes: the same types and ids, data sections completed, kfunc declarations made acceptable. */
  readonly loadableBtf: Uint8Array;
  readonly maps: readonly MapSpec[];
  readonly programs: readonly ProgramSpec[];
  /** Subprograms, static and global, wherever they stand. Programs may be called too and are not repeated here. */
  readonly functions: readonly FunctionSpec[];
  readonly variables: readonly VariableSpec[];
  /** `.rodata*`, `.data*`, `.bss*`: each becomes one array map with one element. */
  readonly dataSections: readonly DataSectionSpec[];
}

export interface MapSpec {
  readonly name: string;
  /** BPF_MAP_TYPE_* */
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  /** BPF_F_* */
  readonly flags: number;
  /** map_extra: what it means depends on the type. */
  readonly extra: number;
  /** Types in the object's BTF; 0 where the map has none (ring buffers). */
  readonly keyTypeId: number;
  readonly valueTypeId: number;
}

/** One function of the object: a span of instructions with everything that points out of it. */
export interface FunctionSpec {
  readonly name: string;
  /** ELF section: `.text` for subprograms, `tc` or `cgroup/connect4` for programs. */
  readonly section: string;
  readonly linkage: 'static' | 'global';
  /** Position in the section, in instructions; line numbers of a disassembly. */
  readonly sectionOffset: number;
  /** As compiled, 8 bytes each (an ld_imm64 takes two). Call offsets and map addresses are not filled in. */
  readonly instructions: Uint8Array;
  readonly references: readonly Reference[];
  /** BTF id of the FUNC; 0 when the object says nothing about it. */
  readonly typeId: number;
  readonly lines: readonly LineInfo[];
  readonly coreRelocations: readonly CoreRelocation[];
}

export interface ProgramSpec extends FunctionSpec {
  /** BPF_PROG_TYPE_* */
  readonly type: number;
  /** BPF_* attach type to give as expected_attach_type; undefined where the section fixes none (`tc`). */
  readonly attachType: number | undefined;
  /** What stands behind the slash of `iter/tcp`, `raw_tp/kfree_skb`, `fentry/…`. */
  readonly attachTo: string | undefined;
}

/** `instruction` counts in 8-byte units from the start of the function or of the linked program. */
export type Reference =
  /** ld_imm64 of a map's address: src_reg 1, imm = fd. */
  | { readonly kind: 'map'; readonly instruction: number; readonly map: string }
  /** ld_imm64 of a place in a data section: src_reg 2, imm = fd of the section's map, next imm = offset. */
  | { readonly kind: 'data'; readonly instruction: number; readonly section: string; readonly offset: number }
  /** Call of another function of the object: src_reg 1, imm = relative. Gone after linking. */
  | { readonly kind: 'call'; readonly instruction: number; readonly function: string }
  /** ld_imm64 of a function's address for a callback: src_reg 4, imm = relative. Gone after linking. */
  | { readonly kind: 'callback'; readonly instruction: number; readonly function: string }
  /** Call of a kernel function: src_reg 2, imm = id in the kernel's BTF, off = 0. */
  | { readonly kind: 'kfunc'; readonly instruction: number; readonly name: string; readonly weak: boolean };

export interface LineInfo {
  readonly instruction: number;
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** The source line as clang saw it. */
  readonly text: string;
  /** Offsets into the BTF strings, as the kernel wants them. */
  readonly fileOffset: number;
  readonly textOffset: number;
}

/** CO-RE: an instruction whose immediate depends on the running kernel's types. */
export interface CoreRelocation {
  readonly instruction: number;
  readonly kind: CoreRelocationKind;
  /** Root type in the object's BTF. */
  readonly typeId: number;
  /** Path of indices like `0:1:2`; for enum values the value's index. */
  readonly access: string;
}

/** enum bpf_core_relo_kind, by number. */
export const coreRelocationKinds = [
  'field-offset',
  'field-size',
  'field-exists',
  'field-signed',
  'field-shift-left',
  'field-shift-right',
  'type-id-local',
  'type-id-target',
  'type-exists',
  'type-size',
  'enum-value-exists',
  'enum-value',
  'type-matches',
] as const;
export type CoreRelocationKind = (typeof coreRelocationKinds)[number];

export interface VariableSpec {
  readonly name: string;
  readonly section: string;
  readonly offset: number;
  readonly size: number;
  readonly typeId: number;
}

export interface DataSectionSpec {
  readonly name: string;
  /** Initial contents; `.bss` is zeros. */
  readonly data: Uint8Array;
  /** `.rodata*`: freeze the map after filling it, so that the verifier knows the values. */
  readonly readOnly: boolean;
  /** The DATASEC in BTF, which becomes the map's value type; 0 when there is none. */
  readonly typeId: number;
}

/** A program with every function it reaches, as one array: what remains open are fds and kernel ids. */
export interface LinkedProgram {
  readonly name: string;
  readonly section: string;
  readonly type: number;
  readonly attachType: number | undefined;
  readonly attachTo: string | undefined;
  readonly instructions: Uint8Array;
  /** Only `map`, `data` and `kfunc` are left; `bindReferences` fills them in. */
  readonly references: readonly Reference[];
  readonly coreRelocations: readonly CoreRelocation[];
  /** struct bpf_func_info records: {insn_off, type_id}, 8 bytes each; empty when a function lacks BTF. */
  readonly functionInfo: Uint8Array;
  /** struct bpf_line_info records: 16 bytes each. */
  readonly lineInfo: Uint8Array;
  /** The same, readable, sorted by instruction. */
  readonly lines: readonly LineInfo[];
  /** Where each function begins, in instructions; the program itself is first. */
  readonly functions: readonly { readonly name: string; readonly instruction: number }[];
}

/** Reads and writes one value of a generated layout. */
export interface Codec<T> {
  readonly size: number;
  encode(value: T, view: DataView, offset: number): void;
  decode(view: DataView, offset: number): T;
}

/** What TypeScript believes about a map; generated from the objects, compared with them at load. */
export interface MapDescriptor<K, V> {
  readonly name: string;
  readonly type: number;
  readonly keySize: number;
  readonly valueSize: number;
  readonly maxEntries: number;
  readonly flags: number;
  readonly key: Codec<K>;
  readonly value: Codec<V>;
  /** As `layoutText` prints it; empty where the map has no such type. */
  readonly keyLayout: string;
  readonly valueLayout: string;
}
