import { bindReferences } from './bind-references.ts';
import type { Btf } from './btf.ts';
import { relocateCore } from './core.ts';
import { configuredSections, createDataSectionMap } from './data-section-map.ts';
import { readKernelBtf } from './kernel-btf.ts';
import { findKernelIds, type KernelIds } from './kernel-ids.ts';
import { checkObjectLayout, checkReusedMap, type MapLayout } from './layout-check.ts';
import { linkProgram } from './link-program.ts';
import { type LoadedBtf, loadBtf } from './loaded-btf.ts';
import { BpfMap } from './map.ts';
import type { Program } from './program.ts';
import { loadProgram } from './program-load.ts';
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
  using stack = new DisposableStack();
  using ownBtf = new DisposableStack();
  let { kernelBtf } = options;
  const readBtf = () => {
    kernelBtf ??= ownBtf.use(readKernelBtf());
    return kernelBtf;
  };
  const programs = choosePrograms(spec, options.programs).map((program) => prepare(program, spec, readBtf));
  const kernel = findKernelIds(programs, readBtf);
  using btf = loadBtf(spec.loadableBtf, spec.name);
  const maps = createMaps(spec, { programs, options, btf, stack });
  const loaded = new Map<string, Program>();
  for (const program of programs) {
    loaded.set(program.name, stack.use(load(program, { spec, options, btf, maps, kernel })));
  }
  const owned = stack.move();
  return { name: spec.name, programs: loaded, maps, [Symbol.dispose]: () => owned.dispose() };
}

function prepare(program: ProgramSpec, spec: ObjectSpec, kernelBtf: () => Btf): LinkedProgram {
  const linked = linkProgram(program, spec);
  return linked.coreRelocations.length === 0 ? linked : relocateCore(linked, { local: spec.btf, kernel: kernelBtf() });
}

interface Surroundings {
  readonly spec: ObjectSpec;
  readonly options: LoadOptions;
  readonly btf: LoadedBtf;
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly kernel: KernelIds;
}

function load(program: LinkedProgram, { spec, options, btf, maps, kernel }: Surroundings): Program {
  const fdOf = (map: string) => maps.get(map)?.fd ?? -1;
  const { functionInfo, lineInfo, lines } = program;
  return loadProgram({
    name: program.name,
    type: program.type,
    instructions: bindReferences(program, {
      mapFd: fdOf,
      sectionFd: fdOf,
      kernelFunction: (name) => kernel.functions.get(name),
    }),
    license: spec.license,
    attachType: program.attachType,
    takesFragments: program.section === 'xdp.frags',
    attachBtfId: kernel.attachIds.get(program.name),
    debug: { btfFd: btf.fd, functionInfo, lineInfo, lines },
    logDirectory: options.logDirectory,
  });
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
