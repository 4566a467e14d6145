import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { bpf } from '@sluice/ffi';

/** What a lab could leave on the machine. Other tests may run beside: only what is new and stays counts. */
export interface MachineState {
  readonly namespaces: ReadonlySet<string>;
  readonly mounts: ReadonlySet<string>;
  readonly devices: ReadonlySet<string>;
  readonly links: ReadonlySet<string>;
  readonly cgroups: ReadonlySet<string>;
}

export function machineState(): MachineState {
  return {
    namespaces: new Set(processes().map((pid) => namespaceOf(pid))),
    mounts: new Set(
      readFileSync('/proc/self/mountinfo', 'utf8')
        .split('\n')
        .map((line) => line.split(' ')[4] ?? ''),
    ),
    devices: new Set(readdirSync('/sys/class/net')),
    links: new Set(bpfLinkIds().map(String)),
    cgroups: new Set(processes().map((pid) => cgroupOf(pid))),
  };
}

/** What came between `before` and `during`, and is still there `after`. */
export function leftBehind(before: MachineState, during: MachineState, after: MachineState): string[] {
  const kinds = ['namespaces', 'mounts', 'devices', 'links', 'cgroups'] as const;
  return kinds.flatMap((kind) =>
    [...during[kind]]
      .filter((item) => !before[kind].has(item) && after[kind].has(item))
      .map((item) => `${kind}: ${item}`),
  );
}

function processes(): string[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name));
}

function namespaceOf(pid: string): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/net`);
  } catch {
    return ''; // it has ended
  }
}

function cgroupOf(pid: string): string {
  try {
    return /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '';
  } catch {
    return '';
  }
}

const BPF_LINK_GET_NEXT_ID = 31;
const linksMax = 100_000;

function bpfLinkIds(): number[] {
  const ids: number[] = [];
  const attributes = new Uint8Array(12);
  const view = new DataView(attributes.buffer);
  while (ids.length < linksMax) {
    try {
      bpf(BPF_LINK_GET_NEXT_ID, attributes);
    } catch {
      return ids; // ENOENT: that was the last
    }
    const id = view.getUint32(4, true);
    ids.push(id);
    view.setUint32(0, id, true);
  }
  return ids;
}
