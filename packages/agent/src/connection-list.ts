import { setImmediate } from 'node:timers/promises';
import {
  type Connection,
  CtFlag,
  CtKind,
  type CtState,
  ctStateNames,
  type DatapathMaps,
  type Tuple,
  type TupleEnd,
} from '@sluice/datapath';
import { identityName, protocolName } from '@sluice/model';
import type { Address } from '@sluice/net';
import type { NameOf } from './names.ts';
import type { ConnectionReport, NamedEnd } from './report.ts';
import type { Traffic, TrafficFilter } from './traffic.ts';

export interface ConnectionListOptions {
  readonly maps: Pick<DatapathMaps, 'conntrack' | 'conntrackNew'>;
  readonly nameOf: NameOf;
  readonly monotonicNs: () => bigint;
  readonly filter: TrafficFilter;
  /** Only those that are translated packet by packet. */
  readonly isTranslated: boolean;
}

/** Entries between two pauses for the rest of the process. */
const batch = 512;

/** The connections that both tables have now, one by one: there may be a hundred thousand. */
export async function* listConnections(options: ConnectionListOptions): AsyncGenerator<ConnectionReport> {
  const { maps, filter, isTranslated } = options;
  const named = { ...options, nameOf: remembering(options.nameOf) };
  let looked = 0;
  for (const table of [maps.conntrack, maps.conntrackNew]) {
    for (const [tuple, connection] of table.entries()) {
      looked += 1;
      if (looked % batch === 0) await setImmediate();
      if (connection.kind !== CtKind.Connection || connection.expiresNs <= options.monotonicNs()) continue;
      const report = connectionReport(tuple, connection, { ...named, isEvictable: table === maps.conntrackNew });
      if (isTranslated && report.frontend === undefined && report.translatedSource === undefined) continue;
      if (filter(trafficOf(report))) yield report;
    }
  }
}

interface ReportOptions extends Pick<ConnectionListOptions, 'nameOf' | 'monotonicNs'> {
  readonly isEvictable: boolean;
}

function connectionReport(tuple: Tuple, connection: Connection, options: ReportOptions): ConnectionReport {
  const { nameOf, isEvictable } = options;
  const now = options.monotonicNs();
  const end = (address: Address | undefined, port: number): NamedEnd => ({
    address: address ?? '',
    port,
    name: nameOf(address),
  });
  const translated = ({ address, port }: TupleEnd) => (address === undefined ? undefined : end(address, port));
  const { packets, bytes } = connection;
  return {
    protocol: protocolName(tuple.protocol),
    source: end(tuple.source, connection.clientPort || tuple.sourcePort),
    destination: end(tuple.destination, tuple.destinationPort),
    sourceIdentity: identityName(connection.sourceIdentity),
    destinationIdentity: identityName(connection.destinationIdentity),
    frontend: translated(connection.dnat),
    translatedSource: translated(sourceBeyond(tuple, connection)),
    dsr: dsrOf(connection),
    state: ctStateNames[connection.state as CtState] ?? String(connection.state),
    isEvictable,
    ageSeconds: seconds(now - connection.createdNs),
    expiresSeconds: seconds(connection.expiresNs - now),
    packets: { sent: Number(packets[0] ?? 0n), replied: Number(packets[1] ?? 0n) },
    bytes: { sent: Number(bytes[0] ?? 0n), replied: Number(bytes[1] ?? 0n) },
  };
}

/** Where no address is translated, a port may be (conflict.h). */
function sourceBeyond(tuple: Tuple, { snat, clientPort }: Connection): TupleEnd {
  const isPortAlone = snat.address === undefined && clientPort !== 0;
  return isPortAlone ? { address: tuple.source, port: tuple.sourcePort } : snat;
}

function dsrOf({ flags }: Connection): ConnectionReport['dsr'] {
  if ((flags & CtFlag.OneWay) !== 0) return 'asked';
  return (flags & CtFlag.Told) === 0 ? undefined : 'answering';
}

const seconds = (ns: bigint): number => Number(ns / 1_000_000n) / 1000;

function trafficOf({ protocol, source, destination, frontend, translatedSource }: ConnectionReport): Traffic {
  const translations = [frontend, translatedSource].flatMap((end) => (end === undefined ? [] : [endOf(end)]));
  return { protocol, source: endOf(source), destination: endOf(destination), translations };
}

/** The filter wants addresses, the report texts; they are the same but for what is not known. */
function endOf({ address, port, name }: NamedEnd) {
  return { address: address === '' ? undefined : (address as Address), port, name };
}

/** Asks for each address once: many connections have the same few ends. */
function remembering(nameOf: NameOf): NameOf {
  const names = new Map<Address | undefined, string>();
  return (address) => {
    const known = names.get(address);
    if (known !== undefined) return known;
    const name = nameOf(address);
    names.set(address, name);
    return name;
  };
}
