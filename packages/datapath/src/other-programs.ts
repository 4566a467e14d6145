import { Program, queryCgroup, queryTcx, type TcxHook } from '@sluice/bpf';
import { isSystemError } from '@sluice/ffi';
import { sockHooks } from './objects.ts';

/** A program of somebody else at a hook where packets or sockets of ours come by. */
export interface OtherProgram {
  /** `ingress of eno1`, `connect4 of the node's cgroup`. */
  readonly hook: string;
  /** Undefined: the hook is a cgroup's. */
  readonly device: string | undefined;
  readonly id: number;
  /** At most 15 characters, as the kernel keeps it. */
  readonly name: string;
  /** What it lets pass comes to us, or has come by us, or is nothing that we look at. */
  readonly place: 'before ours' | 'after ours' | 'alone';
}

export interface HookedDevice {
  readonly name: string;
  readonly ifindex: number;
  readonly xdpProgramId?: number;
}

export interface OtherProgramsOptions {
  /** In the calling thread's network namespace. */
  readonly devices: readonly HookedDevice[];
  /** Undefined: there is none to look at. */
  readonly cgroupPath: string | undefined;
  readonly isOurs: (programId: number) => boolean;
}

/** Asks the kernel at every hook. XDP runs before all of ours. */
export function findOtherPrograms({ devices, cgroupPath, isOurs }: OtherProgramsOptions): OtherProgram[] {
  const atDevices = devices.flatMap((device) => {
    const tcx = tcxHooks.flatMap((hook) =>
      others(tcxPrograms(device.ifindex, hook), isOurs).map((found) => ({
        ...found,
        hook: `${hook} of ${device.name}`,
      })),
    );
    const id = device.xdpProgramId;
    const xdp = id === undefined || isOurs(id) ? [] : [{ id, place: 'before ours' as const }];
    return [...xdp.map((found) => ({ ...found, hook: `XDP of ${device.name}` })), ...tcx].map((found) => ({
      ...found,
      device: device.name,
    }));
  });
  const atSockets = sockHooks.flatMap(([name, attachType]) =>
    others(cgroupPath === undefined ? [] : queryCgroup(cgroupPath, attachType), isOurs).map((found) => ({
      ...found,
      hook: `${name.replace('sock_', '')} of the node's cgroup`,
      device: undefined,
    })),
  );
  return [...atDevices, ...atSockets].map((found) => ({ ...found, name: nameOf(found.id) }));
}

const tcxHooks: readonly TcxHook[] = ['ingress', 'egress'];

function tcxPrograms(ifindex: number, hook: TcxHook): number[] {
  try {
    return queryTcx(ifindex, hook).programs.map(({ programId }) => programId);
  } catch (error) {
    // The device has gone since it was listed.
    if (isSystemError(error, 'ENODEV')) return [];
    throw error;
  }
}

function others(ids: readonly number[], isOurs: (id: number) => boolean): Pick<OtherProgram, 'id' | 'place'>[] {
  const own = ids.findIndex(isOurs);
  return ids.flatMap((id, index) => {
    if (isOurs(id)) return [];
    return [
      { id, place: own === -1 ? ('alone' as const) : index < own ? ('before ours' as const) : ('after ours' as const) },
    ];
  });
}

/** Empty when it has gone meanwhile. */
function nameOf(id: number): string {
  try {
    using program = Program.openById(id);
    return program.info().name;
  } catch (error) {
    if (isSystemError(error, 'ENOENT')) return '';
    throw error;
  }
}
