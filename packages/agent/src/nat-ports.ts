/** Ports that connections share: of one address of the node towards one destination there are as many as the range has. */
import { type Connection, CtKind, type DatapathMaps, SnatPort, type Tuple } from '@sluice/datapath';
import { protocolName } from '@sluice/model';
import { type Address, familyOf, formatAddressPort } from '@sluice/net';
import { TopCounts } from './top-counts.ts';

/** Ports that are chosen for who cannot keep his own: those of NodePorts are not among them (bpf/lib/limits.h). */
export interface NatPorts {
  readonly count: number;
  has(port: number): boolean;
}

/** Without those that services may have as NodePorts, both included. */
export function natPortsBeside({ first, last }: { readonly first: number; readonly last: number }): NatPorts {
  const from = Math.max(first, SnatPort.First);
  const to = Math.min(last, SnatPort.Last);
  return {
    count: SnatPort.Last - SnatPort.First + 1 - Math.max(0, to - from + 1),
    has: (port) => port >= SnatPort.First && port <= SnatPort.Last && (port < first || port > last),
  };
}

/** What a range of ports is for. */
export interface PortRange {
  readonly protocol: number;
  readonly destination: Address;
  readonly destinationPort: number;
  /** What the destination sees as the source. */
  readonly source: Address;
}

export interface TakenPorts extends PortRange {
  readonly ports: number;
  readonly portsMax: number;
  /** None is left. */
  readonly isExhausted: boolean;
}

/** Undefined: the connection has no port of a range, for it is not translated, or has kept one of its own outside. */
export function rangeOf(
  { protocol, destination, destinationPort }: Tuple,
  connection: Connection,
  natPorts: NatPorts,
): PortRange | undefined {
  const { address: source, port } = connection.snat;
  if (connection.kind !== CtKind.Connection || source === undefined || destination === undefined) return undefined;
  return natPorts.has(port) ? { protocol, destination, destinationPort, source } : undefined;
}

export function keyOf({ protocol, destination, destinationPort, source }: PortRange): string {
  return `${protocol} ${destination} ${destinationPort} ${source}`;
}

/** While there are no more destinations, counts are exact; of 70,000 connections to more they lack 140 at most. */
const rangesMax = 512;

/** Counts while somebody reads all connections anyway. */
export class PortCounts {
  readonly #counts = new TopCounts<PortRange>(rangesMax);
  readonly #natPorts: NatPorts;

  constructor(natPorts: NatPorts) {
    this.#natPorts = natPorts;
  }

  readonly add = (tuple: Tuple, connection: Connection): void => {
    const range = rangeOf(tuple, connection, this.#natPorts);
    if (range !== undefined) this.#counts.add(keyOf(range), () => range);
  };

  /** The fullest, those without a port first. */
  list(exhausted: ReadonlyMap<string, PortRange>): TakenPorts[] {
    const counts = this.#counts.list();
    const counted = new Set(counts.map(({ value }) => keyOf(value)));
    // What sockets of the node have is not counted, and may be all.
    const others = [...exhausted].filter(([key]) => !counted.has(key)).map(([, value]) => ({ value, count: 0 }));
    return [...counts, ...others]
      .map(({ value, count }) => {
        const portsMax = this.#natPorts.count;
        return { ...value, ports: count, portsMax, isExhausted: count >= portsMax || exhausted.has(keyOf(value)) };
      })
      .sort((one, other) => Number(other.isExhausted) - Number(one.isExhausted));
  }
}

/** Where the programs have found no port since then. */
export function exhaustedRanges(
  { shortages }: Pick<DatapathMaps, 'shortages'>,
  sinceNs: bigint,
): ReadonlyMap<string, PortRange> {
  const ranges = new Map<string, PortRange>();
  for (const [reply, { exhaustedUntilNs }] of shortages.entries()) {
    const { protocol, source: destination, sourcePort: destinationPort, destination: source } = reply;
    if (exhaustedUntilNs <= sinceNs || destination === undefined || source === undefined) continue;
    const range = { protocol, destination, destinationPort, source };
    ranges.set(keyOf(range), range);
  }
  return ranges;
}

/** The share of its range that the fullest destination of a family has, 0 to 1. */
export function fullestShare(taken: readonly TakenPorts[], family: 4 | 6): number {
  const shares = taken.filter(({ source }) => familyOf(source) === family).map(shareOf);
  return Math.max(0, ...shares);
}

function shareOf({ ports, portsMax, isExhausted }: TakenPorts): number {
  return isExhausted ? 1 : ports / portsMax;
}

/** From here on it is told, before anybody's packets are dropped: what sockets of the node have comes on top of what is counted. */
const fillMax = 0.85;

export function scarcePorts(taken: readonly TakenPorts[]): TakenPorts[] {
  return taken.filter((each) => shareOf(each) >= fillMax);
}

const namedMax = 3;

/** Undefined while there are ports enough everywhere. */
export function natPortsProblem(taken: readonly TakenPorts[]): string | undefined {
  const scarce = scarcePorts(taken);
  if (scarce.length === 0) return undefined;
  const more = scarce.length > namedMax ? [`and ${scarce.length - namedMax} more destinations`] : [];
  const named = scarce.slice(0, namedMax).map((each) => {
    if (each.isExhausted) return `no port of ${each.source} is left towards ${destinationText(each)}`;
    return `${each.ports} of ${each.portsMax} ports of ${each.source} are taken towards ${destinationText(each)}`;
  });
  const what = scarce.some(({ isExhausted }) => isExhausted)
    ? 'new connections there are dropped'
    : 'beyond that new connections there are dropped';
  return `${[...named, ...more].join('; ')}; ${what}, "sluice nat top" shows whose they are`;
}

/** `198.51.100.10:443/TCP` */
export function destinationText({ destination, destinationPort, protocol }: PortRange): string {
  const end = destinationPort === 0 ? destination : formatAddressPort(destination, destinationPort);
  return `${end}/${protocolName(protocol)}`;
}
