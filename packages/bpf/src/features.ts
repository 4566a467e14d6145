import { readFileSync } from 'node:fs';
import { Errno, isSystemError } from '@sluice/ffi';
import type { Btf } from './btf.ts';
import { features } from './feature-table.ts';
import { readKernelBtf } from './kernel-btf.ts';
import { NotSupportedError } from './not-supported-error.ts';

export interface Feature {
  readonly name: string;
  readonly supported: boolean;
  /** The kernel version that brought it. A kernel may still lack it by its configuration. */
  readonly since: string;
  /** What the kernel said, where it is not supported. */
  readonly why?: string;
}

/** What a probe may use. */
export interface ProbeContext {
  /** The kernel's types, undefined on a kernel without. */
  readonly kernelBtf: Btf | undefined;
}

/** Something to ask the kernel: `probe` returns when it is there and throws what the kernel answers when not. */
export interface FeatureProbe {
  readonly name: string;
  readonly since: string;
  readonly probe: (context: ProbeContext) => void;
}

/**
 * Asks the running kernel by loading tiny programs and making tiny maps, which are gone again when this returns:
 * nothing is attached, nothing is left. Needs the privileges that loading needs; without them EPERM is thrown, since
 * it says nothing about the kernel.
 */
export function probeFeatures(names?: readonly string[]): Feature[] {
  const wanted = names?.map(featureNamed) ?? features;
  const context = { kernelBtf: kernelBtfOrNone() };
  return wanted.map((feature) => probeOne(feature, context));
}

/** Throws NotSupportedError for the first feature that the kernel lacks. */
export function requireFeatures(...names: readonly string[]): void {
  for (const { name, supported, since, why } of probeFeatures(names)) {
    if (!supported) throw new NotSupportedError(name, { since, cause: why });
  }
}

/** The running kernel's version, as in `6.18`. */
export function kernelVersion(): string {
  const release = readFileSync('/proc/sys/kernel/osrelease', 'utf8');
  return /^\d+\.\d+/.exec(release)?.[0] ?? release.trim();
}

/** True when the version is not older than the other, `6.10` being newer than `6.9`. */
export function isVersionAtLeast(version: string, other: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const [otherMajor = 0, otherMinor = 0] = other.split('.').map(Number);
  return major > otherMajor || (major === otherMajor && minor >= otherMinor);
}

function featureNamed(name: string): FeatureProbe {
  const feature = features.find((candidate) => candidate.name === name);
  if (feature === undefined) throw new TypeError(`there is no probe for ${name}`);
  return feature;
}

function probeOne({ name, since, probe }: FeatureProbe, context: ProbeContext): Feature {
  try {
    probe(context);
    return { name, since, supported: true };
  } catch (error) {
    if (isSystemError(error) && error.errno === Errno.EPERM) throw error;
    return { name, since, supported: false, why: error instanceof Error ? error.message : String(error) };
  }
}

function kernelBtfOrNone(): Btf | undefined {
  try {
    return readKernelBtf();
  } catch (error) {
    if (error instanceof NotSupportedError) return undefined;
    throw error;
  }
}
