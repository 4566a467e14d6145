import { readFileSync } from 'node:fs';
import { writeFileAtomic } from '@sluice/runtime';
import { LabError, messageOf } from './error.ts';
import type { LabLayout } from './layout.ts';
import type { LabNode } from './topology.ts';

/** How a node's power went. */
export interface NodeOff {
  readonly how: 'killed' | 'stopped';
  /** In ISO 8601. */
  readonly since: string;
}

/** What of the lab its users have broken on purpose; kept in its folder, so that nobody repairs it but they. */
export interface Faults {
  /** By the node's name. */
  readonly off: Readonly<Record<string, NodeOff>>;
  /** Devices whose cable is cut, by the node's name. */
  readonly cut: Readonly<Record<string, readonly string[]>>;
}

const none: Faults = { off: {}, cut: {} };

export function readFaults(layout: LabLayout): Faults {
  let text: string;
  try {
    text = readFileSync(layout.faultsFile, 'utf8');
  } catch {
    return none; // nobody has broken anything yet
  }
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new LabError(`${layout.faultsFile} is damaged: ${messageOf(error)}`, {
      hint: `delete it: every node then has its power and its cables`,
    });
  }
}

/** One process writes it, the daemon. */
export function changeFaults(layout: LabLayout, change: (faults: Faults) => Faults): void {
  writeFileAtomic(layout.faultsFile, `${JSON.stringify(change(readFaults(layout)), null, 2)}\n`, { mode: 0o644 });
}

export function switchedOff(node: string, off: NodeOff): (faults: Faults) => Faults {
  return (faults) => ({ ...faults, off: { ...faults.off, [node]: off } });
}

export function switchedOn(node: string): (faults: Faults) => Faults {
  return (faults) => ({ ...faults, off: without(faults.off, node) });
}

export function withCut(node: string, devices: readonly string[]): (faults: Faults) => Faults {
  return ({ off, cut }) => ({ off, cut: { ...cut, [node]: [...new Set([...(cut[node] ?? []), ...devices])] } });
}

export function withHealed(node: string, devices: readonly string[]): (faults: Faults) => Faults {
  return ({ off, cut }) => {
    const left = (cut[node] ?? []).filter((device) => !devices.includes(device));
    return { off, cut: left.length > 0 ? { ...cut, [node]: left } : without(cut, node) };
  };
}

/** Without power, or without the cable of its first device, over which it reaches everybody. */
export function isCutOff(
  { off, cut }: Faults,
  { name, devices: [first = ''] }: Pick<LabNode, 'name' | 'devices'>,
): boolean {
  return off[name] !== undefined || (cut[name]?.includes(first) ?? false);
}

function without<Value>(record: Readonly<Record<string, Value>>, key: string): Record<string, Value> {
  const { [key]: _, ...rest } = record;
  return rest;
}
