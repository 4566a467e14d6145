import { bindReferences } from './bind-references.ts';
import type { Btf } from './btf.ts';
import { relocateCore } from './core.ts';
import { configuredSections, createDataSectionMap } from './data-section-map.ts';
import { findKernelFunctions, readKernelBtf } from './kernel-btf.ts';
import { checkObjectLayout, checkReusedMap, type MapLayout } from './layout-check.ts';
import { linkProgram } from './link-program.ts';
import { type LoadedBtf, loadBtf } from './loaded-btf.ts';
import { BpfMap } from './map.ts';
import { NotSupportedError } from './not-supported-error.ts';
import type { Program } from './program.ts';
import { loadProgram } from './program-load.ts';
import { AttachType, ProgramType } from './program-type.ts';
import type { LinkedProgram, ObjectSpec, ProgramSpec } from './spec.ts';

export interface LoadOptions {
  /** Values of `const volatile` variables by their names in C; numbers are written in the variable's size. */
  readonly configuration?: Readonly<Record<string, Uint8Array | number>>;
  /** Maps to use instead of creating them, pinned ones above all. They stay the caller's. */
  readonly maps?: Readonly<Record<string, BpfMap>>;
  /** Names of the programs to load; default: all. Maps that none of them refers to are not created. */
  readonly programs?: readonly string[];
  /** What TypeScript was generated for; compared with the object before anything is created. */
  readonly layouts?: Iterable<MapLayout>;
  /** Where the logs of refused programs are kept. Default: a new temporary directory. */
  readonly logDirectory?: string;
  /** Default: read from /sys/kernel/btf/vmlinux when a program needs it. Give it when loading several objects. */
  readonly kernelBtf?: Btf;
}

/** An object in the kernel. Disposing closes the descriptors that loading made; links and pins keep what they hold. */
export interface LoadedObject extends Disposable {
  readonly name: string;
  readonly programs: ReadonlyMap<string, Program>;
  /** Those given and those created; data sections by their names, like `.bss`. */
  readonly maps: ReadonlyMap<string, BpfMap>;
}

/**
 * Creates an object's maps and loads its programs: all of it or, on an error, nothing. VerifierError tells the source
 * line of a refused program, LayoutMismatchError both layouts, NotSupportedError what the kernel lacks.
 */
export function loadObject(spec: ObjectSpec, options: LoadOptions = {}): LoadedObject {
  checkObjectLayout(spec, options.layouts ?? []);
  const linked = choosePrograms(spec, options.programs).map((program) => linkProgram(program, spec));
  const relocates = linked.some(({ coreRelocations }) => coreRelocations.length > 0);
  const kernelBtf = options.kernelBtf ?? (relocates ? readKernelBtf() : undefined);
  const programs =
    kernelBtf === undefined
      ? linked
      : linked.map((program) => relocateCore(program, { local: spec.btf, kernel: kernelBtf }));
  const kernel = kernelIds(programs, kernelBtf);
  using stack = new DisposableStack();
  using btf = loadBtf(spec.loadableBtf, spec.name);
  const maps = createMaps(spec, { programs, options, btf, stack });
  const loaded = new Map<string, Program>();
  for (const program of programs) {
    const fdOf = (map: string) => maps.get(map)?.fd ?? -1;
    const instructions = bindReferences(program, {
      mapFd: fdOf,
      sectionFd: fdOf,
      kernelFunction: (name) => kernel.functions.get(name),
    });
    const attachBtfId = kernel.attachIds.get(program.name);
    const handle = loadProgram({
      name: program.name,
      type: program.type,
      instructions,
      license: spec.license,
      attachType: program.attachType,
      ...(attachBtfId === undefined ? {} : { attachBtfId }),
      debug: {
        btfFd: btf.fd,
        functionInfo: program.functionInfo,
        lineInfo: program.lineInfo,
        lines: program.lines,
      },
      logDirectory: options.logDirectory,
    });
    loaded.set(program.name, stack.use(handle));
  }
  const owned = stack.move();
  return { name: spec.name, programs: loaded, maps, [Symbol.dispose]: () => owned.dispose() };
}

function choosePrograms(spec: ObjectSpec, wanted: readonly string[] | undefined): readonly ProgramSpec[] {
  return (
    wanted?.map((name) => {
      const program = spec.programs.find((candidate) => candidate.name === name);
      if (program !== undefined) return program;
      const names = spec.programs.map((candidate) => candidate.name);
      throw new TypeError(`object ${spec.name} has no program ${name}; it has ${names.join(', ')}`);
    }) ?? spec.programs
  );
}

interface MapSources {
  readonly programs: readonly LinkedProgram[];
  readonly options: LoadOptions;
  readonly btf: LoadedBtf;
  readonly stack: DisposableStack;
}

function createMaps(spec: ObjectSpec, sources: MapSources): Map<string, BpfMap> {
  const { programs, options, btf, stack } = sources;
  const references = programs.flatMap((program) => program.references);
  const wantedMaps = new Set(references.map((reference) => (reference.kind === 'map' ? reference.map : undefined)));
  const wantedData = new Set(
    references.map((reference) => (reference.kind === 'data' ? reference.section : undefined)),
  );
  const maps = new Map<string, BpfMap>();
  for (const map of spec.maps) {
    const reused = options.maps?.[map.name];
    if (reused !== undefined) checkReusedMap(reused, map);
    else if (!wantedMaps.has(map.name)) continue;
    maps.set(map.name, reused ?? stack.use(BpfMap.create(map, btf.fd)));
  }
  const contents = configuredSections(spec, options.configuration ?? {});
  for (const section of spec.dataSections) {
    if (!wantedData.has(section.name)) continue;
    const data = contents.get(section.name) ?? section.data;
    const name = `${spec.name}${section.name}`;
    maps.set(section.name, stack.use(createDataSectionMap({ ...section, name, data }, btf.fd)));
  }
  return maps;
}

interface KernelIds {
  readonly functions: ReadonlyMap<string, number>;
  /** Of what tracing programs attach to, by the program's name. */
  readonly attachIds: ReadonlyMap<string, number>;
}

// One pass over the kernel's types for everything, and none when nothing asks for it.
function kernelIds(programs: readonly LinkedProgram[], given: Btf | undefined): KernelIds {
  const called = programs.flatMap(({ references }) => references.flatMap((r) => (r.kind === 'kfunc' ? [r.name] : [])));
  const targets = new Map(
    programs.flatMap((program) => {
      const target = attachTarget(program);
      return target === undefined ? [] : [[program.name, target]];
    }),
  );
  const names = new Set([...called, ...targets.values()]);
  if (names.size === 0) return { functions: new Map(), attachIds: new Map() };
  const functions = findKernelFunctions(given ?? readKernelBtf(), names);
  for (const program of programs) requireKernelFunctions(program, functions);
  const attachIds = new Map<string, number>();
  for (const [program, target] of targets) {
    const id = functions.get(target);
    if (id === undefined) throw new NotSupportedError(`attaching ${program} to ${target}`);
    attachIds.set(program, id);
  }
  return { functions, attachIds };
}

function requireKernelFunctions(program: LinkedProgram, functions: ReadonlyMap<string, number>): void {
  for (const reference of program.references) {
    if (reference.kind !== 'kfunc' || reference.weak || functions.has(reference.name)) continue;
    throw new NotSupportedError(`kernel function ${reference.name}, which ${program.name} calls`);
  }
}

/** The kernel function that stands for what a tracing program attaches to: `bpf_iter_tcp` for `iter/tcp`. */
function attachTarget(program: LinkedProgram): string | undefined {
  if (program.type !== ProgramType.tracing) return undefined;
  return program.attachType === AttachType.traceIter ? `bpf_iter_${program.attachTo}` : program.attachTo;
}
