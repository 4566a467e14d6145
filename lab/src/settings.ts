import { readFileSync } from 'node:fs';
import type { AddressFamily } from '@sluice/net';
import { writeFileAtomic } from '@sluice/runtime';
import { LabError, messageOf } from './error.ts';
import type { LabLayout } from './layout.ts';
import type { ValueOptions } from './values.ts';

/** What a lab was made with; kept in its folder, so that `up` again means the same lab. */
export interface LabSettings {
  /** The installation it was made from; only that one changes it. Absent in labs made by earlier builds. */
  readonly root?: string;
  readonly nodeCount: number;
  /** Names of each node's devices: one, or two. */
  readonly devices: readonly string[];
  readonly families: readonly AddressFamily[];
  /** What was said beside the values, and has changed them. */
  readonly given: ValueOptions;
  readonly apiServerHost: string;
  readonly apiServerPort: number;
  /** Where people on the machine reach the API server: 127.0.0.1 and this port. */
  readonly localPort: number;
}

export function writeSettings(layout: LabLayout, settings: LabSettings): void {
  writeFileAtomic(layout.settingsFile, `${JSON.stringify(settings, null, 2)}\n`, { mode: 0o644 });
}

/** Undefined when there is no such lab, or it was interrupted before it had any. */
export function readSettings(layout: LabLayout): LabSettings | undefined {
  let text: string;
  try {
    text = readFileSync(layout.settingsFile, 'utf8');
  } catch {
    return undefined;
  }
  try {
    const { device = 'eno1', ...settings } = JSON.parse(text);
    // A lab of an earlier build has one device, both families and its values as they are.
    return { devices: [device], families: [4, 6], given: {}, ...settings };
  } catch (error) {
    throw new LabError(`${layout.settingsFile} is damaged: ${messageOf(error)}`, {
      hint: `take the lab down: sluice lab down --name ${layout.name}`,
    });
  }
}
