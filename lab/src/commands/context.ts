import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { installationRoot } from '@sluice/runtime';
import { LabError } from '../error.ts';
import { takeLock } from '../host/process-id.ts';
import { type LabLayout, labLayout, labsDirectory, nameOption } from '../layout.ts';
import { type LabSettings, readSettings } from '../settings.ts';
import { type LabTopology, labTopology } from '../topology.ts';

/** What the lab's commands touch of the outside. */
export interface LabContext {
  readonly print: (line: string) => void;
  readonly environment: NodeJS.ProcessEnv;
}

/** A lab that is there, at least in parts. */
export interface ExistingLab {
  readonly layout: LabLayout;
  readonly topology: LabTopology;
}

export function existingLab(name: string): ExistingLab {
  const layout = labLayout(name);
  const settings = readSettings(layout);
  if (settings) return { layout, topology: labTopology(settings) };
  throw new LabError(`there is no lab ${name}`, {
    hint: `make it: sluice lab up${nameOption(name)}`,
  });
}

/** The path of the other installation that a lab belongs to; undefined for one of our own. */
export function foreignRoot({ root }: LabSettings): string | undefined {
  return root === undefined || root === installationRoot() ? undefined : root;
}

/** Only one command at a time changes a lab. */
export async function withLock<T>(layout: LabLayout, action: () => Promise<T>): Promise<T> {
  requireRoot();
  mkdirSync(labsDirectory, { recursive: true });
  const holder = takeLock(layout.lockFile);
  if (holder) {
    throw new LabError(`another command is working on lab ${layout.name} (process ${holder.pid})`, {
      hint: 'wait for it to end, or end it; or take another lab, which shares nothing with it: --name OTHER',
    });
  }
  try {
    return await action();
  } finally {
    rmSync(layout.lockFile, { force: true });
    removeIfEmpty(labsDirectory);
  }
}

export function removeIfEmpty(directory: string): void {
  try {
    rmdirSync(directory);
  } catch {
    // A lab is there, or it is gone already.
  }
}

function requireRoot(): void {
  if (process.getuid?.() !== 0)
    throw new LabError('the lab makes network namespaces and loads BPF programs, which needs root');
}
