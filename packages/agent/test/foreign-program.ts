import { AttachType, loadProgram, type Program, ProgramType } from '@sluice/bpf';

/** Verdicts of a classifier (enum tcx_action_base). */
export const Verdict = { next: -1, pass: 0, drop: 2 } as const;

/** A classifier of somebody else: `r0 = verdict; exit`. */
export function foreignClassifier(name: string, verdict: number): Program {
  const instructions = new Uint8Array(16);
  const view = new DataView(instructions.buffer);
  view.setUint8(0, 0xb7);
  view.setInt32(4, verdict, true);
  view.setUint8(8, 0x95);
  return loadProgram({
    name,
    type: ProgramType.schedCls,
    attachType: AttachType.tcxIngress,
    instructions,
    license: 'GPL',
  });
}
