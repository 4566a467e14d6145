import { type Program, programTypeName } from '@sluice/bpf';
import type { LinkStatus } from './links.ts';

export interface MapUsage {
  readonly name: string;
  readonly type: string;
  /** Undefined where the kernel keeps no count: rings. */
  readonly entries: number | undefined;
  readonly maxEntries: number;
  readonly bytes: number;
}

export interface ProgramUsage {
  readonly name: string;
  readonly type: string;
  readonly id: number;
  /** Links that run it now. */
  readonly attachedTo: readonly string[];
  /** As the kernel runs them, after the verifier's rewriting. */
  readonly instructions: number;
  readonly verifiedInstructions: number;
  /** Kernel memory. */
  readonly bytes: number;
  /** Undefined while the kernel's statistics are off (`kernel.bpf_stats_enabled`). */
  readonly runCount: number | undefined;
  readonly averageNs: number | undefined;
}

/** Runs and time of a program, as far as anybody has had them counted. */
export interface ProgramRuns {
  readonly name: string;
  readonly id: number;
  readonly runCount: bigint;
  readonly runTimeNs: bigint;
}

export function readProgramRuns(programs: readonly Program[]): ProgramRuns[] {
  return programs.map((program) => {
    const { runCount, runTimeNs } = program.statistics();
    return { name: program.name, id: program.info().id, runCount, runTimeNs };
  });
}

export function readProgramUsage(programs: readonly Program[], links: readonly LinkStatus[]): ProgramUsage[] {
  return programs.map((program) => {
    const info = program.info();
    const { runCount, runTimeNs } = program.statistics();
    const isCounted = runCount > 0n;
    return {
      name: program.name,
      type: programTypeName(program.type),
      id: info.id,
      attachedTo: links.filter(({ programId, attached }) => attached && programId === info.id).map(({ name }) => name),
      instructions: info.instructions,
      verifiedInstructions: info.verifiedInstructions,
      bytes: program.memoryBytes(),
      runCount: isCounted ? Number(runCount) : undefined,
      averageNs: isCounted ? Number(runTimeNs / runCount) : undefined,
    };
  });
}
