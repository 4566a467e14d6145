import { Errno, SystemError } from '@sluice/ffi';
import * as asm from './assembler.ts';
import { Attributes } from './attributes.ts';
import { BtfBuilder } from './btf-builder.ts';
import type { BtfKind } from './btf-type.ts';
import type { FeatureProbe, ProbeContext } from './features.ts';
import { Command, MapFlag, MapType } from './kernel-constants.ts';
import { loadBtf } from './loaded-btf.ts';
import { BpfMap, type MapCreateSpec } from './map.ts';
import { Program } from './program.ts';
import { attemptLoad, type DebugInfo, type LoadableProgram } from './program-load.ts';
import { AttachType, ProgramType } from './program-type.ts';

/** In the order of the kernel versions that brought them. */
export const features: readonly FeatureProbe[] = [
  { name: 'BTF', since: '4.18', probe: () => intTypes().loaded[Symbol.dispose]() },
  { name: 'socket storage', since: '5.2', probe: () => withSocketStorage(() => undefined) },
  { name: 'socket storage in socket hooks', since: '5.3', probe: () => withSocketStorage(probeSocketStorageGet) },
  { name: 'kernel BTF', since: '5.4', probe: (context) => requireKernelBtf(context) },
  { name: 'typed tracepoints', since: '5.5', probe: (context) => probeTracepoint(context, 'btf_trace_kfree_skb') },
  {
    name: 'global functions',
    since: '5.6',
    probe: () => probeSubprogram({ linkage: 'global', main: callsFunction() }),
  },
  { name: 'batches on hash maps', since: '5.6', probe: () => probeBatch({ ...smallMap, type: MapType.hash }) },
  { name: 'cgroup link', since: '5.7', probe: probeCgroupLink },
  {
    name: 'network namespace cookie in socket hooks',
    since: '5.7',
    probe: () => loadHook(asm.callHelper(GET_NETNS_COOKIE)),
  },
  { name: 'ring buffer', since: '5.8', probe: () => makeMap(ring) },
  { name: 'iterators', since: '5.8', probe: (context) => probeIterator(context, 'bpf_iter_bpf_map') },
  { name: 'TCP iterator', since: '5.9', probe: (context) => probeIterator(context, 'bpf_iter_tcp') },
  { name: 'bpf_redirect_neigh', since: '5.10', probe: () => loadClassifier(asm.callHelper(REDIRECT_NEIGH)) },
  { name: 'bpf_redirect_peer', since: '5.10', probe: () => loadClassifier(asm.callHelper(REDIRECT_PEER)) },
  { name: 'batches on tries', since: '5.13', probe: () => probeBatch(trie) },
  {
    name: 'syscall programs',
    since: '5.14',
    probe: () => load({ type: ProgramType.syscall, instructions: returnNumber(0) }),
  },
  { name: 'bpf_timer', since: '5.15', probe: probeTimer },
  { name: 'packet drop reasons', since: '5.17', probe: (context) => requireType(context, 'skb_drop_reason', 'enum') },
  { name: 'bpf_loop', since: '5.17', probe: () => probeSubprogram({ linkage: 'static', main: loops() }) },
  { name: 'return value of socket hooks', since: '5.18', probe: () => loadHook(setsReturnValue()) },
  { name: 'kernel functions in classifiers', since: '6.2', probe: probeKernelFunction },
  { name: 'open-coded loops', since: '6.4', probe: (context) => void kernelFunctionId(context, 'bpf_iter_num_new') },
  { name: 'bpf_sock_destroy', since: '6.5', probe: (context) => void kernelFunctionId(context, 'bpf_sock_destroy') },
  { name: 'TCX link', since: '6.6', probe: probeTcxLink },
];

// BPF_FUNC_* of include/uapi/linux/bpf.h.
const MAP_LOOKUP_ELEM = 1;
const SK_STORAGE_GET = 107;
const GET_NETNS_COOKIE = 122;
const REDIRECT_NEIGH = 152;
const REDIRECT_PEER = 155;
const TIMER_INIT = 169;
const LOOP = 181;
const GET_RETVAL = 186;
const SET_RETVAL = 187;

// Maps

const smallMap = { name: 'probe', keySize: 4, valueSize: 4, maxEntries: 1 };
const trie = { ...smallMap, type: MapType.lpmTrie, keySize: 8, flags: MapFlag.noPrealloc };
// A ring's size is a multiple of the page's, which is at most 64 KiB.
const ring = { name: 'probe', type: MapType.ringbuf, keySize: 0, valueSize: 0, maxEntries: 1 << 16 };

function makeMap(spec: MapCreateSpec): void {
  using _map = BpfMap.create(spec);
}

function probeBatch(spec: MapCreateSpec): void {
  using map = BpfMap.create(spec);
  new Attributes(56)
    .pointer(16, new Uint8Array(spec.keySize))
    .pointer(24, new Uint8Array(spec.valueSize))
    .u32(32, 1)
    .u32(36, map.fd)
    .call(Command.mapUpdateBatch, 'update a batch');
}

function withSocketStorage(use: (map: BpfMap) => void): void {
  const { loaded, int } = intTypes();
  using btf = loaded;
  const types = { keyTypeId: int, valueTypeId: int };
  const spec = { ...smallMap, ...types, type: MapType.skStorage, maxEntries: 0, flags: MapFlag.noPrealloc };
  using map = BpfMap.create(spec, btf.fd);
  use(map);
}

// Programs

function probeSocketStorageGet(map: BpfMap): void {
  const SOCKET_OFFSET = 64;
  loadHook(
    asm.load64(2, 1, SOCKET_OFFSET),
    asm.loadMap(1, map.fd),
    asm.moveImmediate(3, 0),
    asm.moveImmediate(4, 0),
    asm.callHelper(SK_STORAGE_GET),
  );
}

function setsReturnValue(): Uint8Array {
  return asm.assemble(asm.callHelper(GET_RETVAL), asm.moveImmediate(1, -1), asm.callHelper(SET_RETVAL));
}

function probeKernelFunction(context: ProbeContext): void {
  const id = kernelFunctionId(context, 'bpf_cast_to_kern_ctx');
  load({ type: ProgramType.schedCls, instructions: asm.assemble(asm.callKernelFunction(id), returnNumber(0)) });
}

function probeIterator(context: ProbeContext, target: string): void {
  const attachBtfId = kernelFunctionId(context, target);
  load({
    type: ProgramType.tracing,
    attachType: AttachType.traceIter,
    attachBtfId,
    instructions: returnNumber(0),
  });
}

function probeTracepoint(context: ProbeContext, type: string): void {
  load({
    type: ProgramType.tracing,
    attachType: AttachType.traceRawTracepoint,
    attachBtfId: requireType(context, type, 'typedef'),
    instructions: returnNumber(0),
  });
}

function probeTimer(): void {
  const types = new BtfBuilder();
  const int = types.int('int', 4);
  const u64 = types.int('unsigned long long', 8);
  const timer = types.struct('bpf_timer', 16, [
    { name: 'first', typeId: u64, byteOffset: 0 },
    { name: 'second', typeId: u64, byteOffset: 8 },
  ]);
  const value = types.struct('value', 16, [{ name: 'timer', typeId: timer, byteOffset: 0 }]);
  using btf = loadBtf(types.build(), 'probe');
  const spec = { ...smallMap, type: MapType.array, valueSize: 16, keyTypeId: int, valueTypeId: value };
  using map = BpfMap.create(spec, btf.fd);
  const CLOCK_MONOTONIC = 1;
  const whenFound = asm.assemble(
    asm.move(1, 0),
    asm.loadMap(2, map.fd),
    asm.moveImmediate(3, CLOCK_MONOTONIC),
    asm.callHelper(TIMER_INIT),
  );
  const instructions = asm.assemble(
    asm.storeImmediate64(10, -8, 0),
    asm.loadMap(1, map.fd),
    asm.move(2, 10),
    asm.addImmediate(2, -8),
    asm.callHelper(MAP_LOOKUP_ELEM),
    asm.jumpIfNotZero(0, 2),
    returnNumber(0),
    whenFound,
    returnNumber(0),
  );
  load({ type: ProgramType.schedCls, instructions });
}

interface Subprogram {
  readonly linkage: 'static' | 'global';
  /** Refers to the function that stands right behind it. */
  readonly main: Uint8Array;
}

function probeSubprogram({ linkage, main }: Subprogram): void {
  const types = new BtfBuilder();
  const int = types.int('int', 4);
  const prototype = types.prototype(int);
  const mainId = types.function('main', prototype, 'global');
  const functionId = types.function('subprogram', prototype, linkage);
  using btf = loadBtf(types.build(), 'probe');
  const records = Uint32Array.of(0, mainId, main.byteLength / 8, functionId);
  const debug = {
    btfFd: btf.fd,
    functionInfo: new Uint8Array(records.buffer),
    lineInfo: new Uint8Array(0),
    lines: [],
  };
  load({ type: ProgramType.schedCls, instructions: asm.assemble(main, returnNumber(0)), debug });
}

function callsFunction(): Uint8Array {
  const BEHIND_EXIT = 1;
  return asm.assemble(asm.callFunction(BEHIND_EXIT), asm.exit());
}

function loops(): Uint8Array {
  const behind = asm.assemble(asm.moveImmediate(3, 0), asm.moveImmediate(4, 0), asm.callHelper(LOOP), returnNumber(0));
  // The offset counts from the load's first half.
  const offset = 1 + behind.byteLength / 8;
  return asm.assemble(asm.moveImmediate(1, 1), asm.loadFunction(2, offset), behind);
}

/** At connect(2) of IPv4; 1 lets the call go on. */
function loadHook(...parts: readonly Uint8Array[]): void {
  load({ ...connectHook, instructions: asm.assemble(...parts, returnNumber(1)) });
}

const connectHook = { type: ProgramType.cgroupSockAddr, attachType: AttachType.cgroupInet4Connect };

/** With an ifindex and zeros as arguments. */
function loadClassifier(call: Uint8Array): void {
  const zeros = [1, 2, 3, 4].map((register) => asm.moveImmediate(register, 0));
  load({ type: ProgramType.schedCls, instructions: asm.assemble(...zeros, call, returnNumber(0)) });
}

function returnNumber(value: number): Uint8Array {
  return asm.assemble(asm.moveImmediate(0, value), asm.exit());
}

// Links: refused for their target, once the kernel knows the kind.

function probeCgroupLink(): void {
  const NO_DESCRIPTOR = 0xffffffff;
  using program = loaded({ ...connectHook, instructions: returnNumber(1) });
  const link = new Attributes(32).u32(0, program.fd).u32(4, NO_DESCRIPTOR).u32(8, connectHook.attachType);
  expectRefusal(link, { errno: Errno.EBADF, action: 'attach to no cgroup' });
}

function probeTcxLink(): void {
  const NO_DEVICE = 0x7fffffff;
  using program = loaded({ type: ProgramType.schedCls, instructions: returnNumber(0) });
  const link = new Attributes(32).u32(0, program.fd).u32(4, NO_DEVICE).u32(8, AttachType.tcxIngress);
  expectRefusal(link, { errno: Errno.ENODEV, action: 'attach to no device' });
}

function expectRefusal(link: Attributes, expected: { errno: number; action: string }): void {
  const result = link.attempt(Command.linkCreate);
  if (result !== -expected.errno) throw new SystemError('bpf', -result, expected.action);
}

// Parts

function intTypes() {
  const types = new BtfBuilder();
  const int = types.int('int', 4);
  return { int, loaded: loadBtf(types.build(), 'probe') };
}

function requireKernelBtf({ kernelBtf }: ProbeContext): void {
  if (kernelBtf === undefined) throw new Error('/sys/kernel/btf/vmlinux is missing');
}

function kernelFunctionId(context: ProbeContext, name: string): number {
  return requireType(context, name, 'function');
}

function requireType({ kernelBtf }: ProbeContext, name: string, kind: BtfKind): number {
  const [id] = kernelBtf?.find(name, [kind]) ?? [];
  if (id === undefined) throw new Error(kernelBtf === undefined ? 'no kernel BTF' : `no ${kind} ${name} in its BTF`);
  return id;
}

interface Probed {
  readonly type: number;
  readonly instructions: Uint8Array;
  readonly attachType?: number;
  readonly attachBtfId?: number;
  readonly debug?: DebugInfo;
}

function load(probed: Probed): void {
  using _program = loaded(probed);
}

// Not loadProgram: that one keeps the log of a refused program, and here a refusal is an answer.
function loaded(probed: Probed): Program {
  const program: LoadableProgram = { ...probed, name: 'probe', license: 'GPL' };
  const result = attemptLoad(program);
  if (result < 0) throw new SystemError('bpf', -result, 'load program');
  return new Program(result, program.name, program.type);
}
