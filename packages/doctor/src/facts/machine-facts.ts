import { existsSync, readFileSync } from 'node:fs';
import { release } from 'node:os';
import { join } from 'node:path';
import { type Feature, probeFeatures } from '@sluice/bpf';
import { type ClockState, clockState } from '@sluice/ffi';
import { type Mount, parseMountinfo, readFileIfPresent } from '@sluice/runtime';

/** The machine itself, whatever network it has: the same for every network namespace on it. */
export interface MachineFacts {
  readonly isRoot: boolean;
  /** `6.18.44-amd64` */
  readonly release: string;
  /** Undefined: only root may ask. */
  readonly features: readonly Feature[] | undefined;
  readonly mounts: readonly Mount[];
  /** Undefined where no list of the kernel's modules is to be found. */
  readonly modules: { readonly vxlan: boolean; readonly veth: boolean } | undefined;
  readonly settings: Readonly<Record<MachineSetting, string | undefined>>;
  readonly clock: ClockState;
  /** Milliseconds since the epoch. */
  readonly now: number;
  /** `none`, `integrity` or `confidentiality`; undefined where the kernel has no such thing. */
  readonly lockdown: string | undefined;
  readonly selinuxEnforcing: boolean;
  /** Of this process, which those that the same service manager starts are likely to have. */
  readonly openFilesMax: number;
  readonly files: Usage | undefined;
  readonly tasks: Usage | undefined;
}

export interface Usage {
  readonly used: number;
  readonly max: number;
}

const machineSettings = [
  'net/core/bpf_jit_enable',
  'net/core/bpf_jit_harden',
  'kernel/unprivileged_bpf_disabled',
  'kernel/pid_max',
] as const;
type MachineSetting = (typeof machineSettings)[number];

export interface FactsPaths {
  readonly proc: string;
  readonly sys: string;
}

export function readMachineFacts({ proc, sys }: FactsPaths): MachineFacts {
  const isRoot = process.geteuid?.() === 0;
  const text = (path: string) => readFileIfPresent(join(proc, path));
  const settings = machineSettings.map((name) => [name, text(`sys/${name}`)?.trim()]);
  return {
    isRoot,
    release: release(),
    features: isRoot ? probeFeatures() : undefined,
    mounts: parseMountinfo(text('self/mountinfo') ?? ''),
    modules: readModules(sys),
    settings: Object.fromEntries(settings) as MachineFacts['settings'],
    clock: clockState(),
    now: Date.now(),
    lockdown: /\[(\w+)\]/.exec(readProtected(join(sys, 'kernel/security/lockdown')) ?? '')?.[1],
    selinuxEnforcing: readProtected(join(sys, 'fs/selinux/enforce')) === '1',
    openFilesMax: parseOpenFiles(text('self/limits') ?? ''),
    files: usage(text('sys/fs/file-nr'), (fields) => [fields[0], fields[2]]),
    tasks: usage(text('loadavg'), (fields) => [fields[3]?.split('/')[1], Number(text('sys/kernel/threads-max'))]),
  };
}

/** Undefined also where even root may not look. */
function readProtected(path: string): string | undefined {
  try {
    return readFileIfPresent(path)?.trim();
  } catch {
    return undefined;
  }
}

export function parseOpenFiles(limits: string): number {
  const soft = /^Max open files\s+(\S+)/m.exec(limits)?.[1];
  return soft === undefined || soft === 'unlimited' ? Number.POSITIVE_INFINITY : Number(soft);
}

function usage(
  text: string | undefined,
  pick: (fields: readonly string[]) => readonly [unknown, unknown],
): Usage | undefined {
  if (text === undefined) return undefined;
  const [used, max] = pick(text.trim().split(/\s+/)).map(Number);
  return used === undefined || max === undefined || Number.isNaN(used) || Number.isNaN(max) ? undefined : { used, max };
}

/** Loaded, built in, or to be loaded when somebody makes such a device. */
function readModules(sys: string): MachineFacts['modules'] {
  const folder = join('/lib/modules', release());
  const lists = ['modules.dep', 'modules.builtin'].map((name) => join(folder, name)).filter((path) => existsSync(path));
  const isLoaded = (name: string) => existsSync(join(sys, 'module', name));
  if (lists.length === 0) return isLoaded('vxlan') && isLoaded('veth') ? { vxlan: true, veth: true } : undefined;
  const known = lists.map((path) => readFileSync(path, 'latin1'));
  const has = (name: string) => isLoaded(name) || known.some((list) => list.includes(`/${name}.ko`));
  return { vxlan: has('vxlan'), veth: has('veth') };
}
