import type { Btf } from './btf.ts';
import { findKernelFunctions } from './kernel-btf.ts';
import { NotSupportedError } from './not-supported-error.ts';
import { AttachType, ProgramType } from './program-type.ts';
import type { LinkedProgram } from './spec.ts';

/** Numbers in the running kernel's BTF that programs need. */
export interface KernelIds {
  readonly functions: ReadonlyMap<string, number>;
  /** Of what tracing programs attach to, by the program's name. */
  readonly attachIds: ReadonlyMap<string, number>;
}

/** One pass over the kernel's types for everything, and none when nothing asks for it. */
export function findKernelIds(programs: readonly LinkedProgram[], kernelBtf: () => Btf): KernelIds {
  const called = programs.flatMap(({ references }) => references.flatMap((r) => (r.kind === 'kfunc' ? [r.name] : [])));
  const targets = new Map(
    programs.flatMap((program) => {
      const target = attachTarget(program);
      return target === undefined ? [] : [[program.name, target]];
    }),
  );
  const names = new Set([...called, ...targets.values()]);
  if (names.size === 0) return { functions: new Map(), attachIds: new Map() };
  const functions = findKernelFunctions(kernelBtf(), names);
  const attachIds = new Map<string, number>();
  for (const [program, target] of targets) {
    const id = functions.get(target);
    if (id === undefined) throw new NotSupportedError(`attaching ${program} to ${target}`);
    attachIds.set(program, id);
  }
  return { functions, attachIds };
}

/** The kernel function that stands for what a tracing program attaches to: `bpf_iter_tcp` for `iter/tcp`. */
function attachTarget(program: LinkedProgram): string | undefined {
  if (program.type !== ProgramType.tracing) return undefined;
  return program.attachType === AttachType.traceIter ? `bpf_iter_${program.attachTo}` : program.attachTo;
}
