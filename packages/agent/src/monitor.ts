import { type DatapathEvent, DropReason, dropReasonNames, dropReasonText } from '@sluice/datapath';
import { tryParseAddress } from '@sluice/net';
import { monitorEvent, type NamingOptions } from './monitor-event.ts';
import { knownParameters, QueryError, wholeParameter } from './query.ts';
import { RecentEvents } from './recent-events.ts';
import type { MonitorEvent } from './report.ts';
import { type Traffic, trafficFilter, trafficParameters } from './traffic.ts';

/** What of the events is asked for. */
export interface MonitorQuery {
  readonly types: readonly MonitorEvent['type'][];
  readonly isWanted: (event: MonitorEvent) => boolean;
  /** Of those that have been, the last so many. */
  readonly last: number;
}

export interface Monitor {
  /** Of a question such as `?type=drop&pod=shop/web&last=20`; throws QueryError. */
  query(parameters: URLSearchParams): MonitorQuery;
  /** For `GET /monitor`: those that have been, as far as the query wants any, and those to come. */
  follow(query: MonitorQuery, send: (event: MonitorEvent) => void): Disposable;
  /** For `GET /events`: only those that have been, oldest first. */
  recent(query: MonitorQuery): MonitorEvent[];
  /** For the datapath. */
  readonly onEvent: (event: DatapathEvent) => void;
}

/** Of each type, kept for who asks afterwards: half a megabyte. Connections that come and go push no drop out. */
const recentMax = 1_000;

/** Turns the programs' events into something to read, for as long as somebody reads, and keeps the last ones. */
export function createMonitor(options: NamingOptions): Monitor {
  const followers = new Set<{ readonly query: MonitorQuery; readonly send: (event: MonitorEvent) => void }>();
  const kept = { drop: new RecentEvents<DatapathEvent>(recentMax), trace: new RecentEvents<DatapathEvent>(recentMax) };
  const recent = ({ types, isWanted, last }: MonitorQuery): MonitorEvent[] => {
    if (last === 0) return [];
    const events = types.flatMap((type) => kept[type].list());
    const shown = events.sort((left, right) => left.at - right.at).map((event) => monitorEvent(event, options));
    return shown.filter(isWanted).slice(-last);
  };
  return {
    query: (parameters) => monitorQuery(parameters, options.kernelReasons),
    recent,
    follow(query, send) {
      for (const event of recent(query)) send(event);
      const follower = { query, send };
      followers.add(follower);
      return { [Symbol.dispose]: () => void followers.delete(follower) };
    },
    onEvent(event) {
      const type = event.type === 'trace' ? 'trace' : 'drop';
      kept[type].add(event);
      const asking = [...followers].filter(({ query }) => query.types.includes(type));
      if (asking.length === 0) return;
      const shown = monitorEvent(event, options);
      for (const { query, send } of asking) if (query.isWanted(shown)) send(shown);
    },
  };
}

function monitorQuery(parameters: URLSearchParams, kernelReasons: () => readonly string[]): MonitorQuery {
  const query = knownParameters(parameters, ['type', 'reason', 'since', 'last', ...trafficParameters]);
  const reasons = query.getAll('reason').flatMap((text) => knownReasons(text, kernelReasons));
  const since = wholeParameter(query, 'since');
  const isWantedTraffic = trafficFilter(query);
  return {
    types: query.has('type') ? query.getAll('type').map(eventType) : ['drop'],
    isWanted: (event) =>
      (since === undefined || event.at >= since) &&
      (reasons.length === 0 || reasons.some((reason) => hasReason(event, reason))) &&
      isWantedTraffic(trafficOf(event)),
    last: wholeParameter(query, 'last') ?? (since === undefined ? 0 : recentMax),
  };
}

function eventType(text: string): MonitorEvent['type'] {
  if (text === 'drop' || text === 'trace') return text;
  throw new QueryError(`type ${text}: drop or trace`);
}

/** Texts to look for: what was given may also be a part of a reason's name. Nobody waits for what can never come. */
function knownReasons(text: string, kernelReasons: () => readonly string[]): readonly string[] {
  const reason = plainReason(text);
  const named = Object.values(DropReason).filter((each) => plainReason(dropReasonNames[each]).includes(reason));
  const known = [...Object.values(dropReasonText).map(({ text }) => text), ...kernelReasons()].map(plainReason);
  if (reason.startsWith(KERNEL_FUNCTION) || named.length > 0 || known.some((each) => each.includes(reason)))
    return [reason, ...named.map((each) => plainReason(dropReasonText[each].text))];
  throw new QueryError(`reason ${text}: no reason has this in it; docs/drop-reasons.md lists them`);
}

/** How the kernel's drops without a reason are told, before the function's name. */
const KERNEL_FUNCTION = 'dropped by the kernel';

function hasReason(event: MonitorEvent, reason: string): boolean {
  return event.type === 'drop' && plainReason(event.reason).includes(reason);
}

/** `No backend`, `no_backend` and `no-backend` are the same. */
const plainReason = (text: string): string => text.toLowerCase().replaceAll(/[_-]/g, ' ');

function trafficOf(event: MonitorEvent): Traffic {
  return {
    source: { address: tryParseAddress(event.sourceAddress), port: event.sourcePort, name: event.source },
    destination: {
      address: tryParseAddress(event.destinationAddress),
      port: event.destinationPort,
      name: event.destination,
    },
    protocol: event.protocol,
  };
}
