import type { Btf } from './btf.ts';
import type { BtfKind } from './btf-type.ts';
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
  const targets = programs.flatMap((program) => attachTarget(program) ?? []);
  const names = new Set([...called, ...targets.map(({ name }) => name)]);
  if (names.size === 0) return { functions: new Map(), attachIds: new Map() };
  const btf = kernelBtf();
  const found = btf.findAll(names, ['function', 'typedef']);
  const idOf = (name: string, kind: BtfKind) => found.get(name)?.find((id) => btf.type(id).kind === kind);
  const functions = new Map(called.flatMap((name) => withId(name, idOf(name, 'function'))));
  const attachIds = new Map<string, number>();
  for (const { program, name, kind } of targets) {
    const id = idOf(name, kind);
    if (id === undefined) throw new NotSupportedError(`attaching ${program.name} to ${name}`);
    attachIds.set(program.name, id);
  }
  return { functions, attachIds };
}

function withId(name: string, id: number | undefined): [string, number][] {
  return id === undefined ? [] : [[name, id]];
}

interface AttachTarget {
  readonly program: LinkedProgram;
  readonly name: string;
  readonly kind: BtfKind;
}

/**
 * What in the kernel's types stands for a tracing program's target: the function itself, `bpf_iter_tcp` for `iter/tcp`,
 * the type of its callbacks, `btf_trace_kfree_skb`, for `tp_btf/kfree_skb`.
 */
function attachTarget(program: LinkedProgram): AttachTarget | undefined {
  const { type, attachType, attachTo } = program;
  if (type !== ProgramType.tracing || attachTo === undefined) return undefined;
  if (attachType === AttachType.traceRawTracepoint) return { program, name: `btf_trace_${attachTo}`, kind: 'typedef' };
  const name = attachType === AttachType.traceIter ? `bpf_iter_${attachTo}` : attachTo;
  return { program, name, kind: 'function' };
}
