/** What was seen on the wire, of drops and connections alike, and which of it a question is about. */
import { type Address, prefixContains } from '@sluice/net';
import { prefixOf, QueryError } from './query.ts';

export interface TrafficEnd {
  /** Undefined where it could not be read. */
  readonly address: Address | undefined;
  readonly port: number;
  /** `namespace/pod`, `service namespace/name`, `node NAME`, or empty. */
  readonly name: string;
}

export interface Traffic {
  readonly source: TrafficEnd;
  readonly destination: TrafficEnd;
  /** What an end is translated from or to, and is known by on the other side. */
  readonly translations?: readonly TrafficEnd[];
  /** `TCP`, or the number. */
  readonly protocol: string;
}

export type TrafficFilter = (traffic: Traffic) => boolean;

/** Parameters that narrow down; one that is given several times means any of them, different ones all of them. */
export const trafficParameters = ['pod', 'from-pod', 'to-pod', 'namespace', 'ip', 'port', 'protocol'] as const;

/** Throws QueryError for a value that is none. */
export function trafficFilter(query: URLSearchParams): TrafficFilter {
  const anyEnd = (matches: (end: TrafficEnd) => boolean): TrafficFilter => {
    return ({ source, destination, translations = [] }) => [source, destination, ...translations].some(matches);
  };
  const filters: readonly [name: (typeof trafficParameters)[number], make: (value: string) => TrafficFilter][] = [
    ['pod', (pod) => anyEnd((end) => isPod(end, pod))],
    [
      'from-pod',
      (pod) =>
        ({ source }) =>
          isPod(source, pod),
    ],
    [
      'to-pod',
      (pod) =>
        ({ destination }) =>
          isPod(destination, pod),
    ],
    ['namespace', (namespace) => anyEnd((end) => namespaceOf(end) === namespace)],
    ['ip', ipFilter(anyEnd)],
    ['port', portFilter(anyEnd)],
    [
      'protocol',
      (wanted) =>
        ({ protocol }) =>
          protocol.toLowerCase() === wanted.toLowerCase(),
    ],
  ];
  const wanted = filters.flatMap(([name, make]) => {
    const each = query.getAll(name).map(make);
    return each.length === 0 ? [] : [(traffic: Traffic) => each.some((matches) => matches(traffic))];
  });
  return (traffic) => wanted.every((matches) => matches(traffic));
}

/** By the beginning of its name, so that `shop/web` is all pods of that Deployment; without a namespace in any of them. */
function isPod({ name }: TrafficEnd, wanted: string): boolean {
  if (!name.includes('/') || name.includes(' ')) return false;
  return (wanted.includes('/') ? name : name.slice(name.indexOf('/') + 1)).startsWith(wanted);
}

function namespaceOf({ name }: TrafficEnd): string | undefined {
  return /^(?:service )?([^/ ]+)\//.exec(name)?.[1];
}

function ipFilter(anyEnd: (matches: (end: TrafficEnd) => boolean) => TrafficFilter) {
  return (text: string): TrafficFilter => {
    const prefix = prefixOf('ip', text);
    return anyEnd(({ address }) => address !== undefined && prefixContains(prefix, address));
  };
}

function portFilter(anyEnd: (matches: (end: TrafficEnd) => boolean) => TrafficFilter) {
  return (text: string): TrafficFilter => {
    const wanted = /^\d{1,5}$/.test(text) ? Number(text) : 0;
    if (wanted < 1 || wanted > 65_535) throw new QueryError(`port ${text}: a number from 1 to 65535`);
    return anyEnd(({ port }) => port === wanted);
  };
}
