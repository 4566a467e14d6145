import { existsSync } from 'node:fs';
import { release } from 'node:os';
import { delimiter, join } from 'node:path';
import { type Mount, readMounts } from './mountinfo.ts';

/** One thing a machine must (or, where not `required`, should) have. */
export interface MachineCheck {
  readonly name: string;
  readonly ok: boolean;
  readonly required: boolean;
  /** What was found. */
  readonly found: string;
  /** What to do about it; only where `ok` is false. */
  readonly remedy?: string;
}

export interface MachineReport {
  /** Whether everything required is there. */
  readonly suitable: boolean;
  readonly checks: readonly MachineCheck[];
  /** Where cgroup v2 is mounted; undefined when it is not. */
  readonly cgroupPath: string | undefined;
  /** Where a BPF filesystem is mounted; undefined when none is. */
  readonly bpffsPath: string | undefined;
}

/** What the report looks at; every default is the machine itself. */
export interface MachineReportOptions {
  readonly userId?: number;
  readonly kernelRelease?: string;
  readonly sysPath?: string;
  readonly mounts?: readonly Mount[];
  readonly searchPath?: string;
  readonly nodeVersion?: string;
}

const kernelFloor = { major: 6, minor: 6 };

/** Whether Sluice can run here, and what to do about each thing that is missing. */
export function machineReport(options: MachineReportOptions = {}): MachineReport {
  const {
    userId = process.getuid?.() ?? -1,
    kernelRelease = release(),
    sysPath = '/sys',
    mounts = readMounts(),
    searchPath = process.env.PATH ?? '',
    nodeVersion = process.versions.node,
  } = options;
  const cgroupPath = mountOf(mounts, 'cgroup2');
  const bpffsPath = mountOf(mounts, 'bpf');
  const checks = [
    rootCheck(userId),
    kernelCheck(kernelRelease),
    btfCheck(join(sysPath, 'kernel/btf/vmlinux')),
    cgroupCheck(cgroupPath),
    bpffsCheck(bpffsPath),
    nodeCheck(nodeVersion),
    clangCheck(searchPath),
  ];
  return { suitable: checks.every((check) => check.ok || !check.required), checks, cgroupPath, bpffsPath };
}

/** The report as lines of text: `ok`, `MISSING` (required) or `no` (optional), and under it what to do. */
export function formatMachineReport(report: MachineReport): string {
  const width = Math.max(...report.checks.map((check) => check.name.length));
  return report.checks
    .map((check) => {
      const mark = check.ok ? 'ok' : check.required ? 'MISSING' : 'no';
      const line = `${mark.padEnd(8)}${check.name.padEnd(width + 2)}${check.found}`;
      return check.remedy ? `${line}\n${' '.repeat(8)}-> ${check.remedy}` : line;
    })
    .join('\n');
}

function rootCheck(userId: number): MachineCheck {
  if (userId === 0) return { name: 'root', ok: true, required: true, found: 'running as root' };
  const remedy = 'run it as root (sudo): loading BPF programs and making network namespaces needs it';
  return { name: 'root', ok: false, required: true, found: `running as user ${userId}`, remedy };
}

function kernelCheck(kernelRelease: string): MachineCheck {
  const floor = `${kernelFloor.major}.${kernelFloor.minor}`;
  const check = { name: `kernel >= ${floor}`, required: true, found: kernelRelease };
  const [, majorText, minorText] = /^(\d+)\.(\d+)/.exec(kernelRelease) ?? [];
  const [major, minor] = [Number(majorText), Number(minorText)];
  if (major > kernelFloor.major || (major === kernelFloor.major && minor >= kernelFloor.minor)) {
    return { ...check, ok: true };
  }
  const remedy = `boot a kernel of at least ${floor} (TCX links came with it): Debian 13 and Ubuntu 24.04 have one, Debian 12 in bookworm-backports`;
  return { ...check, ok: false, remedy };
}

function btfCheck(path: string): MachineCheck {
  const check = { name: 'kernel BTF', required: true };
  if (existsSync(path)) return { ...check, ok: true, found: path };
  const remedy = 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y; those of Debian and Ubuntu are';
  return { ...check, ok: false, found: `no ${path}`, remedy };
}

function cgroupCheck(path: string | undefined): MachineCheck {
  const check = { name: 'cgroup v2', required: true };
  if (path) return { ...check, ok: true, found: path };
  const remedy = 'mount -t cgroup2 none /sys/fs/cgroup (or /sys/fs/cgroup/unified beside cgroup v1)';
  return { ...check, ok: false, found: 'not mounted', remedy };
}

// Not required: whoever needs it mounts it, `sluice lab` and the agent's container do.
function bpffsCheck(path: string | undefined): MachineCheck {
  const check = { name: 'BPF filesystem', required: false };
  if (path) return { ...check, ok: true, found: path };
  return { ...check, ok: false, found: 'not mounted', remedy: 'mount -t bpf bpf /sys/fs/bpf' };
}

function nodeCheck(version: string): MachineCheck {
  const check = { name: 'Node.js >= 20', required: true, found: version };
  if (Number.parseInt(version, 10) >= 20) return { ...check, ok: true };
  return { ...check, ok: false, remedy: 'install Node.js 20 or newer from nodejs.org or your distribution' };
}

// Only for those who compile the programs; nodes run what `npm run build` made.
function clangCheck(searchPath: string): MachineCheck {
  const check = { name: 'clang-19', required: false };
  const found = searchPath
    .split(delimiter)
    .map((folder) => join(folder, 'clang-19'))
    .find((path) => existsSync(path));
  if (found) return { ...check, ok: true, found };
  const remedy = 'apt-get install clang-19 (Debian 12 and 13, Ubuntu 24.04): needed to compile bpf/, not to run it';
  return { ...check, ok: false, found: 'not in PATH', remedy };
}

// The whole tree rather than a bind mount of a part of it, and of two whole ones the first mounted.
function mountOf(mounts: readonly Mount[], type: string): string | undefined {
  const candidates = mounts.filter((mount) => mount.type === type);
  return (candidates.find((mount) => mount.root === '/') ?? candidates[0])?.path;
}
