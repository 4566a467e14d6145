import { AssertionError } from 'node:assert';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Notes which descriptors this process has open; disposing throws with a list when there are more. `bpffs` also
 * demands that the directory holds as many pins at the end as now. Take it first, so that it is disposed of last.
 */
export function leakCheck(options: { bpffs?: string } = {}): Disposable {
  const descriptorsBefore = new Set(openDescriptors().keys());
  const pinsBefore = new Set(pinsIn(options.bpffs));
  return {
    [Symbol.dispose]() {
      const leaks = [
        ...[...openDescriptors()].filter(([fd]) => !descriptorsBefore.has(fd)).map(([, text]) => text),
        ...pinsIn(options.bpffs)
          .filter((pin) => !pinsBefore.has(pin))
          .map((pin) => `pin ${pin}`),
      ];
      if (leaks.length > 0) throw new AssertionError({ message: `leaked: ${leaks.join('; ')}` });
    },
  };
}

function openDescriptors(): Map<string, string> {
  const open = new Map<string, string>();
  for (const fd of readdirSync('/proc/self/fd')) {
    const target = linkTarget(`/proc/self/fd/${fd}`);
    // The descriptor of this very listing is already closed again.
    if (target !== undefined) open.set(fd, `fd ${fd} -> ${target}${kindOf(fd)}`);
  }
  return open;
}

function linkTarget(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

// BPF descriptors are anonymous inodes; their fdinfo tells which.
function kindOf(fd: string): string {
  const info = readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8');
  const ids = info.split('\n').filter((line) => /^(map_id|prog_id|link_id|map_type|prog_type|link_type):/.test(line));
  return ids.length === 0 ? '' : ` (${ids.join(' ').replaceAll(/\s+/g, ' ')})`;
}

function pinsIn(directory: string | undefined): string[] {
  if (directory === undefined) return [];
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => `${entry.parentPath}/${entry.name}`);
}
