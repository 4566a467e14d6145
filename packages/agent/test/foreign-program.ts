import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { AttachType, loadProgram, type Program, ProgramType } from '@sluice/bpf';
import { compileBpf, temporaryDirectory } from '@sluice/testing';

/** Verdicts of a classifier (enum tcx_action_base). */
export const Verdict = { next: -1, pass: 0, drop: 2 } as const;

/** A classifier of somebody else. */
export function foreignClassifier(name: string, verdict: number): Program {
  return constant({ name, type: ProgramType.schedCls, attachType: AttachType.tcxIngress }, verdict);
}

/** Of somebody else, at connect() of IPv4 sockets; lets every call pass. */
export function foreignConnect(name: string): Program {
  return constant({ name, type: ProgramType.cgroupSockAddr, attachType: AttachType.cgroupInet4Connect }, 1);
}

/** `r0 = verdict; exit` */
function constant(program: { name: string; type: number; attachType: number }, verdict: number): Program {
  const instructions = new Uint8Array(16);
  const view = new DataView(instructions.buffer);
  view.setUint8(0, 0xb7);
  view.setInt32(4, verdict, true);
  view.setUint8(8, 0x95);
  return loadProgram({ ...program, instructions, license: 'GPL' });
}

/** Attaches an XDP program of somebody else, as an administrator would: it lets every packet pass. */
export function attachForeignXdp(netns: string, device: string, name: string): void {
  using directory = temporaryDirectory();
  const source = join(directory.path, 'xdp.bpf.c');
  writeFileSync(
    source,
    `int ${name}(void *context);\n__attribute__((section("xdp"), used)) int ${name}(void *context) { return 2; }\n`,
  );
  const object = join(directory.path, 'xdp.o');
  writeFileSync(object, compileBpf(source));
  const ip = ['ip', 'link', 'set', 'dev', device, 'xdpgeneric', 'obj', object, 'sec', 'xdp'];
  const { status, stderr } = spawnSync('nsenter', [`--net=${netns}`, ...ip], { encoding: 'utf8' });
  if (status !== 0) throw new Error(stderr);
}
