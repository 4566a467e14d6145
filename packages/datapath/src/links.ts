import { statSync } from 'node:fs';
import { attachCgroup, attachTcx, isPinned, Link, type LinkInfo, LinkType, type Program, unpin } from '@sluice/bpf';
import { SystemError } from '@sluice/ffi';
import type { Paths } from './paths.ts';

/** What happened to a link; `replaced` is without a gap in which a packet sees no program. */
export type Attachment = 'attached' | 'replaced';

export interface LinkStatus {
  /** Of the pin: `sock_connect4`, `overlay`, `host`, `pod_<device>`, `from_network_<device>`, `to_network_<device>`. */
  readonly name: string;
  readonly programId: number;
  readonly ifindex: number | undefined;
  readonly attached: boolean;
  /** Why it is not attached. */
  readonly why: string | undefined;
}

export interface Target {
  readonly name: string;
  readonly program: Program;
  /** Does this link, found pinned, stand where we want it? */
  matches(info: LinkInfo): boolean;
  attach(): Link;
}

export interface TcxHook {
  readonly ifindex: number;
  readonly hook: 'ingress' | 'egress';
}

export function tcxTarget(name: string, program: Program, { ifindex, hook }: TcxHook): Target {
  return {
    name,
    program,
    matches: (info) => info.ifindex === ifindex,
    attach: () => attachTcx({ program, ifindex, hook }),
  };
}

export function cgroupTarget(name: string, program: Program, hook: { path: string; attachType: number }): Target {
  // The inode of a cgroup's directory is its id.
  const id = statSync(hook.path, { bigint: true }).ino;
  return {
    name,
    program,
    matches: (info) => info.cgroupId === id,
    attach: () => attachCgroup({ program, cgroup: hook.path, attachType: hook.attachType }),
  };
}

/** Makes the pinned link run the program: by replacing what is in it, or with a new link where there is none alive. */
export function ensureLink(paths: Paths, target: Target): Attachment {
  const path = paths.link(target.name);
  if (paths.isPinned(path)) {
    using link = Link.openPinned(path);
    if (target.matches(link.info()) && replaceProgram(link, target.program)) return 'replaced';
    link.detach();
    unpin(path);
  }
  using link = target.attach();
  link.pin(path);
  return 'attached';
}

/** False: the link is dead, because its device or cgroup is gone. */
export function replaceProgram(link: Link, program: Program): boolean {
  try {
    link.update(program);
    return true;
  } catch (error) {
    if (error instanceof SystemError && error.code === 'ENOLINK') return false;
    throw error;
  }
}

/** Detaches and unpins; a missing link is success. The last unpin alone would detach some time later, in a worker. */
export function removeLink(path: string): void {
  if (!isPinned(path)) return;
  using link = Link.openPinned(path);
  // A tracepoint's link cannot be detached: it ends when nobody holds it.
  if (link.info().type !== LinkType.rawTracepoint) link.detach();
  unpin(path);
}

/** What the kernel says of every pinned link; `programIdOf` is the program that it must run. */
export function listLinks(paths: Paths, programIdOf: (name: string) => number | undefined): LinkStatus[] {
  return paths.links().map((name) => {
    using link = Link.openPinned(paths.link(name));
    const { programId, ifindex, cgroupId } = link.info();
    const why = whyNotAttached({ programId, ifindex, cgroupId }, programIdOf(name));
    return { name, programId, ifindex, attached: why === undefined, why };
  });
}

function whyNotAttached(
  { programId, ifindex, cgroupId }: Pick<LinkInfo, 'programId' | 'ifindex' | 'cgroupId'>,
  wantedId: number | undefined,
): string | undefined {
  // The kernel does not tell the two apart.
  if (cgroupId === 0n) return 'its cgroup is gone, or somebody has detached it';
  if (cgroupId === undefined && ifindex === 0) return 'its device is gone, or somebody has detached it';
  if (wantedId !== undefined && programId !== wantedId) return `it runs program ${programId}, which is not ours`;
  return undefined;
}
