import type { DatapathMaps, Tuple } from '@sluice/datapath';
import { protocolName } from '@sluice/model';
import type { Address } from '@sluice/net';
import type { NameOf } from './names.ts';
import { exhaustedRanges, keyOf, type NatPorts, type PortRange, rangeOf } from './nat-ports.ts';
import { paced } from './paced.ts';
import type { NatPortsReport } from './report.ts';
import { TopCounts } from './top-counts.ts';

export interface NatPortsListOptions {
  readonly maps: Pick<DatapathMaps, 'conntrack' | 'conntrackNew' | 'shortages'>;
  readonly natPorts: NatPorts;
  readonly nameOf: NameOf;
  readonly monotonicNs: () => bigint;
  /** Destinations; undefined: all that were counted. */
  readonly limit: number | undefined;
}

/** Each with so many clients; together they are no more than there are connections. */
const rangesMax = 512;
const clientsMax = 64;
/** As long as the agent's status tells it. */
const exhaustedNs = 10_000_000_000n;

interface CountedRange extends PortRange {
  readonly clients: TopCounts<Address>;
}

interface Counted {
  readonly value: CountedRange;
  readonly count: number;
}

/** Towards which destinations most ports are taken, and by whom: of the connections that there are now. */
export async function listNatPorts(options: NatPortsListOptions): Promise<NatPortsReport[]> {
  const { maps, natPorts, monotonicNs, limit = rangesMax } = options;
  const counts = new TopCounts<CountedRange>(rangesMax);
  for (const table of [maps.conntrack, maps.conntrackNew]) {
    for await (const [tuple, connection] of paced(table.entries())) {
      const range = connection.expiresNs > monotonicNs() ? rangeOf(tuple, connection, natPorts) : undefined;
      if (range !== undefined) countClient(counts, range, tuple);
    }
  }
  return withExhausted(counts.list(), exhaustedRanges(maps, monotonicNs() - exhaustedNs), natPorts)
    .slice(0, limit)
    .map((each) => reportOf(each.value, each, options));
}

/** What sockets of the node have is not counted, and may be all. Those come first where no port is left. */
function withExhausted(
  counts: readonly Counted[],
  exhausted: ReadonlyMap<string, PortRange>,
  natPorts: NatPorts,
): readonly (Counted & { readonly isExhausted: boolean })[] {
  const counted = new Set(counts.map(({ value }) => keyOf(value)));
  const others = [...exhausted].flatMap(([key, range]) =>
    counted.has(key) ? [] : [{ value: { ...range, clients: new TopCounts<Address>(clientsMax) }, count: 0 }],
  );
  return [...counts, ...others]
    .map((each) => ({ ...each, isExhausted: each.count >= natPorts.count || exhausted.has(keyOf(each.value)) }))
    .sort((one, other) => Number(other.isExhausted) - Number(one.isExhausted));
}

function countClient(counts: TopCounts<CountedRange>, range: PortRange, { source }: Tuple): void {
  const counted = counts.add(keyOf(range), () => ({ ...range, clients: new TopCounts<Address>(clientsMax) }));
  if (source !== undefined) counted?.clients.add(source, () => source);
}

function reportOf(
  { protocol, destination, destinationPort, source, clients }: CountedRange,
  { count, isExhausted }: { readonly count: number; readonly isExhausted: boolean },
  { natPorts, nameOf }: NatPortsListOptions,
): NatPortsReport {
  return {
    protocol: protocolName(protocol),
    destination: { address: destination, port: destinationPort, name: nameOf(destination) },
    source: { address: source, name: nameOf(source) },
    ports: count,
    portsMax: natPorts.count,
    isExhausted,
    clients: clients.list().map(({ value, count }) => ({ address: value, name: nameOf(value), ports: count })),
  };
}
