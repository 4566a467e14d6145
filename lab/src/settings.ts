import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '@sluice/runtime';
import { LabError, messageOf } from './error.ts';
import type { LabLayout } from './layout.ts';

/** What a lab was made with; kept in its folder, so that `up` again means the same lab. */
export interface LabSettings {
  /** The installation it was made from; only that one changes it. Absent in labs made by earlier builds. */
  readonly root?: string;
  readonly nodeCount: number;
  readonly device: string;
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
    return JSON.parse(text);
  } catch (error) {
    throw new LabError(`${layout.settingsFile} is damaged: ${messageOf(error)}`, {
      hint: `take the lab down: sluice lab down --name ${layout.name}`,
    });
  }
}
