import { protocolNumbers } from '@sluice/model';
import { knownParameters, QueryError, wholeParameter } from '../query.ts';

/** A connection that nobody makes. */
export interface Question {
  /** `namespace/pod`, a pod's name that only one here has, or `host` for the node's own processes. */
  readonly from: string;
  readonly host: string;
  /** A number, or the name of a service's port. */
  readonly port: string;
  readonly protocol: 'TCP' | 'UDP';
  /** Undefined: any that a client may get. */
  readonly sourcePort: number | undefined;
  /** Undefined: the first that both sides have, IPv4 before IPv6. */
  readonly family: 4 | 6 | undefined;
  /** As a program sends that no socket hook sees: its packets name the service. */
  readonly isPastHooks: boolean;
}

const parameters = ['from', 'to', 'protocol', 'source-port', 'family', 'past-hooks'] as const;

/** Throws QueryError for what cannot be meant. */
export function explainQuestion(query: URLSearchParams): Question {
  const given = knownParameters(query, parameters);
  const { host, port } = hostAndPort(given.get('to') ?? '');
  const sourcePort = wholeParameter(given, 'source-port');
  if (sourcePort !== undefined && (sourcePort < 1 || sourcePort > 65_535)) {
    throw new QueryError(`source-port ${sourcePort}: a number from 1 to 65535`);
  }
  const from = given.get('from');
  if (!from) throw new QueryError('from is missing: namespace/pod, or host for the node itself');
  return {
    from,
    host,
    port,
    protocol: protocolOf(given.get('protocol') ?? 'tcp'),
    sourcePort,
    family: familyOf(given.get('family')),
    isPastHooks: given.get('past-hooks') === 'true',
  };
}

/** `10.0.0.1:80`, `[2001:db8::1]:80`, `shop/web:80`, `web.shop:http`. */
function hostAndPort(to: string): { readonly host: string; readonly port: string } {
  const [, bracketed, plain, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):([A-Za-z0-9-]+)$/.exec(to) ?? [];
  const host = bracketed ?? plain;
  if (host !== undefined && port !== undefined) return { host, port };
  throw new QueryError(
    `to ${to}: HOST:PORT, such as 10.96.0.10:53, [fd00::1]:80, shop/web:80 or web.shop.svc.cluster.local:http`,
  );
}

function protocolOf(text: string): Question['protocol'] {
  const protocol = text.toUpperCase();
  if (protocol !== 'TCP' && protocol !== 'UDP') throw new QueryError(`protocol ${text}: tcp or udp`);
  return protocol;
}

function familyOf(text: string | null): 4 | 6 | undefined {
  if (text === null) return undefined;
  if (text === '4') return 4;
  if (text === '6') return 6;
  throw new QueryError(`family ${text}: 4 or 6`);
}

export function numberOf(protocol: Question['protocol']): number {
  return protocolNumbers[protocol];
}
