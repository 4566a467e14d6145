/** What programs must know while tables are taken over into others: see bpf/lib/takeover.h. */
import { parseAddress } from '@sluice/net';
import type { Connection, Tuple } from './generated/structs.ts';
import type { DatapathMaps } from './maps.ts';

/** Should we die, and nobody go on, who is not known must not wait for ever. */
const takeoverNs = 10_000_000_000n;
const strictAfterNs = 900_000_000n;

/** By it (snat_leaves_port) the new programs know their own table of connections. No packet has this tuple. */
const mark: Tuple = {
  source: parseAddress('::'),
  destination: parseAddress('::'),
  sourcePort: 0,
  destinationPort: 0,
  protocol: 0,
};

/** Has expired: if we die, collectConnections removes it. */
const markRow: Connection = {
  expiresNs: 0n,
  createdNs: 0n,
  packets: [0n, 0n],
  bytes: [0n, 0n],
  sourceIdentity: 0,
  destinationIdentity: 0,
  backendId: 0,
  generation: 0,
  dnat: { address: undefined, port: 0 },
  snat: { address: undefined, port: 0 },
  state: 0,
  kind: 0,
  tcpFlags: [0, 0],
  flags: 0,
  told: 0,
  clientPort: 0,
  formerPort: 0,
};

/** One that was killed in the midst is gone on with: what was sent then may be sent again by now. */
export function beginTakeover({ takeovers, conntrack }: Pick<DatapathMaps, 'takeovers' | 'conntrack'>): void {
  const now = process.hrtime.bigint();
  const left = takeovers.lookup(0);
  const strictNs = left !== undefined && left.untilNs > now ? left.strictNs : now + strictAfterNs;
  conntrack.update(mark, markRow);
  takeovers.update(0, { strictNs, untilNs: now + takeoverNs });
}

/** Whoever has begun it: a start that was killed in the midst of it has left it on. */
export function endTakeover({ takeovers, conntrack }: Pick<DatapathMaps, 'takeovers' | 'conntrack'>): void {
  takeovers.update(0, { strictNs: 0n, untilNs: 0n });
  conntrack.delete(mark);
}
