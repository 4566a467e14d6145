import { statSync } from 'node:fs';
import {
  attachCgroup,
  attachTcx,
  attachXdp,
  Link,
  type LinkInfo,
  type Program,
  unpin,
  type XdpMode,
} from '@sluice/bpf';
import { SystemError } from '@sluice/ffi';
import type { Expedite } from './grace-periods.ts';
import type { Paths } from './paths.ts';

/** What happened to a link; `replaced` is without a gap in which a packet sees no program. */
export type Attachment = 'attached' | 'replaced';

export interface LinkStatus {
  /** Of the pin: `sock_connect4`, `overlay`, `host`, `pod_<device>`, `from_network_<device>`, `to_network_<device>`, `xdp_native_<device>`, … */
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

export function tcxTarget(name: string, program: Program, { ifindex, hook }: TcxHook, expedite: Expedite): Target {
  return {
    name,
    program,
    matches: (info) => info.ifindex === ifindex,
    attach: () => expedite(() => attachTcx({ program, ifindex, hook })),
  };
}

export function xdpTarget(name: string, program: Program, hook: { ifindex: number; mode: XdpMode }): Target {
  return {
    name,
    program,
    matches: (info) => info.ifindex === hook.ifindex,
    attach: () => attachXdp({ program, ...hook }),
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

/**
 * The node's links, pinned, and held for as long as we run: a pin that somebody removes then takes no program away, and
 * is made anew. Disposing lets go of them: those that are pinned go on.
 */
export class HeldLinks implements Disposable {
  readonly #paths: Paths;
  readonly #others: readonly string[];
  readonly #held = new Map<string, Link>();

  /** `others` are pinned beside ours and looked after by somebody else, who must be able to end them. */
  constructor(paths: Paths, others: readonly string[]) {
    this.#paths = paths;
    this.#others = others;
  }

  /** Pinned or held; dead ones, too. */
  names(): string[] {
    const pinned = this.#paths.links().filter((name) => !this.#others.includes(name));
    return [...new Set([...pinned, ...this.#held.keys()])].sort();
  }

  /** Undefined: there is none. */
  get(name: string): Link | undefined {
    const path = this.#paths.link(name);
    const held = this.#held.get(name);
    if (held !== undefined || !this.#paths.isPinned(path)) return held;
    const link = Link.openPinned(path);
    this.#held.set(name, link);
    return link;
  }

  /** Makes the link run the program: by replacing what is in it, or with a new link where there is none alive. */
  ensure(target: Target): Attachment {
    const link = this.get(target.name);
    if (link && target.matches(link.info()) && replaceProgram(link, target.program)) {
      this.#pin(target.name, link);
      return 'replaced';
    }
    this.remove(target.name);
    const made = target.attach();
    this.#held.set(target.name, made);
    this.#pin(target.name, made);
    return 'attached';
  }

  /** Detaches and unpins; a missing link is success. The last unpin alone would detach some time later, in a worker. */
  remove(name: string): void {
    const link = this.get(name);
    if (!link) return;
    // A tracepoint's link cannot be detached: it ends when nobody holds it.
    if (!this.#others.includes(name)) link.detach();
    this.forget(name);
  }

  /** Lets go of a link, which ends with that. */
  forget(name: string): void {
    this.#held.get(name)?.[Symbol.dispose]();
    this.#held.delete(name);
    if (this.#paths.isPinned(this.#paths.link(name))) unpin(this.#paths.link(name));
  }

  /** What somebody has unpinned: it works, and would end with us. */
  unpinned(): string[] {
    return [...this.#held.keys()].filter((name) => !this.#paths.isPinned(this.#paths.link(name)));
  }

  repin(): void {
    for (const [name, link] of this.#held) this.#pin(name, link);
  }

  /** What the kernel says of every link; `programIdOf` is the program that it must run. */
  list(programIdOf: (name: string) => number | undefined): LinkStatus[] {
    const own = this.names().flatMap((name) => {
      const link = this.get(name);
      return link ? [statusOf(name, link, programIdOf(name))] : [];
    });
    const others = this.#others.filter((name) => this.#paths.isPinned(this.#paths.link(name)));
    return [
      ...own,
      ...others.map((name) => {
        using link = Link.openPinned(this.#paths.link(name));
        return statusOf(name, link, undefined);
      }),
    ];
  }

  [Symbol.dispose](): void {
    for (const link of this.#held.values()) link[Symbol.dispose]();
    this.#held.clear();
  }

  #pin(name: string, link: Link): void {
    if (!this.#paths.isPinned(this.#paths.link(name))) link.pin(this.#paths.link(name));
  }
}

function statusOf(name: string, link: Link, wantedProgramId: number | undefined): LinkStatus {
  const { programId, ifindex, cgroupId } = link.info();
  const why = whyNotAttached({ programId, ifindex, cgroupId }, wantedProgramId);
  return { name, programId, ifindex, attached: why === undefined, why };
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
