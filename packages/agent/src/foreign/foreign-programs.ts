import type { Datapath } from '@sluice/datapath';
import type { Link, Netlink } from '@sluice/netlink';
import type { Clock } from '@sluice/runtime';
import type { StatusReport } from '../report.ts';

export type ForeignPrograms = Pick<StatusReport, 'foreignPrograms' | 'foreignProgramsUnknown' | 'foreignFilters'>;

export interface ForeignProgramsOptions {
  /** Undefined: not open yet. */
  readonly datapath: Datapath | undefined;
  readonly netlink: Netlink;
  /** Where we have programs. */
  readonly ifindexes: ReadonlySet<number>;
}

/** Programs of others where our packets and sockets come by, as the kernel has them now. Where it does not tell, nothing is claimed. */
export function foreignPrograms({ datapath, netlink, ifindexes }: ForeignProgramsOptions): ForeignPrograms {
  if (!datapath) return unknown('the programs are not loaded yet');
  try {
    const devices = netlink.links.list().filter(({ ifindex }) => ifindexes.has(ifindex));
    return {
      foreignPrograms: datapath.otherPrograms(devices),
      foreignProgramsUnknown: undefined,
      foreignFilters: foreignFilters(netlink, devices),
    };
  } catch (error) {
    return unknown(error instanceof Error ? error.message : String(error));
  }
}

function unknown(why: string): ForeignPrograms {
  return { foreignPrograms: [], foreignProgramsUnknown: why, foreignFilters: [] };
}

/** Ours are links at TCX, so whatever is a filter is somebody else's. */
function foreignFilters(netlink: Netlink, devices: readonly Pick<Link, 'ifindex' | 'name'>[]) {
  const names = new Map(devices.map(({ ifindex, name }) => [ifindex, name]));
  return netlink.filters.list(new Set(names.keys())).map(({ ifindex, hook, kind, priority, program }) => ({
    device: names.get(ifindex) ?? `device ${ifindex}`,
    hook,
    kind,
    priority,
    program,
  }));
}

/** A flood of drops must not become one of questions. */
const rememberedMs = 5_000;

/** By a device's name: `fw (id 7, ingress of slc01, before ours)`, or empty where there are none. */
export function foreignProgramsAt(look: () => ForeignPrograms, clock: Clock): (device: string) => string {
  let found: ForeignPrograms['foreignPrograms'] = [];
  let untilNs = 0n;
  return (device) => {
    if (clock.monotonicNs() >= untilNs) {
      found = look().foreignPrograms;
      untilNs = clock.monotonicNs() + BigInt(rememberedMs) * 1_000_000n;
    }
    return found
      .filter((program) => program.device === device)
      .map(({ name, id, hook, place }) => `${name} (id ${id}, ${hook}, ${place})`)
      .join(', ');
  };
}
