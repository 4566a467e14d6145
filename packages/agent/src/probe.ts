import {
  AddressFamily,
  close,
  internetAddress,
  MessageFlag,
  recv,
  SocketType,
  SystemError,
  sendto,
  socket,
  watchReadable,
} from '@sluice/ffi';
import { type Address, addressToBytes, familyOf } from '@sluice/net';
import type { Clock, Logger } from '@sluice/runtime';

/** What of an address is known: whether its last echo request was answered. */
export interface Reachability {
  readonly state: 'reachable' | 'unreachable' | 'unknown';
  readonly roundTripMs: number | undefined;
}

export interface Prober extends Disposable {
  /** Asks each address once; the answers are in `reachability` soon after. */
  probe(addresses: readonly Address[]): void;
  reachability(address: Address): Reachability;
}

interface Probe {
  sentNs: bigint;
  answered: boolean;
  lastAnswerMs: number | undefined;
  failures: number;
}

/** After as many unanswered requests in a row an address is unreachable: one lost packet is no news. */
const failuresMax = 2;
const icmp = { protocol: 1, request: 8, reply: 0, headerBytes: 20 } as const;
// A raw ICMPv6 socket delivers without the IPv6 header.
const icmp6 = { protocol: 58, request: 128, reply: 129, headerBytes: 0 } as const;

export interface ProberOptions {
  readonly clock: Clock;
  readonly log: Logger;
  readonly onAnswer?: (address: Address, roundTripMs: number) => void;
}

/** ICMP echo (RFC 792, RFC 4443) from the node: two sockets, one packet an address and round, no thread. */
export function startProber({ clock, log, onAnswer }: ProberOptions): Prober {
  const probes = new Map<Address, Probe>();
  const identifier = process.pid & 0xffff;
  const open = [
    openFamily({ family: 4, identifier, onReply: answered, log }),
    openFamily({ family: 6, identifier, onReply: answered, log }),
  ];
  let sequence = 0;

  function answered(address: Address): void {
    const probe = probes.get(address);
    if (!probe || probe.answered) return;
    probe.answered = true;
    probe.failures = 0;
    probe.lastAnswerMs = Math.round(Number(clock.monotonicNs() - probe.sentNs) / 1e4) / 100;
    onAnswer?.(address, probe.lastAnswerMs);
  }

  return {
    probe(addresses) {
      sequence = (sequence + 1) & 0xffff;
      const wanted = new Set(addresses);
      for (const address of probes.keys()) if (!wanted.has(address)) probes.delete(address);
      for (const socketOf of open) socketOf.begin(sequence, addresses);
      for (const address of addresses) {
        const before = probes.get(address);
        const failures = before ? before.failures + (before.answered ? 0 : 1) : 0;
        probes.set(address, {
          sentNs: clock.monotonicNs(),
          answered: false,
          lastAnswerMs: before?.lastAnswerMs,
          failures,
        });
        open.find((each) => each.family === familyOf(address))?.send(address, sequence);
      }
    },
    reachability(address) {
      const probe = probes.get(address);
      if (!probe) return { state: 'unknown', roundTripMs: undefined };
      if (probe.failures >= failuresMax) return { state: 'unreachable', roundTripMs: undefined };
      const known = probe.answered || probe.lastAnswerMs !== undefined;
      return { state: known ? 'reachable' : 'unknown', roundTripMs: probe.lastAnswerMs };
    },
    [Symbol.dispose]() {
      for (const each of open) each[Symbol.dispose]();
    },
  };
}

interface FamilySocketOptions {
  readonly family: 4 | 6;
  readonly identifier: number;
  readonly onReply: (address: Address) => void;
  readonly log: Logger;
}

/** Replies are matched by sequence and a number of ours: a reply tells its sender, but not which address we had asked. */
function openFamily({ family, identifier, onReply, log }: FamilySocketOptions) {
  const wire = family === 4 ? icmp : icmp6;
  const fd = socket(family === 4 ? AddressFamily.INET : AddressFamily.INET6, SocketType.RAW, wire.protocol, {
    nonBlocking: true,
  });
  const asked = new Map<number, Address>();
  const buffer = new Uint8Array(512);
  let round = 0;
  let next = 0;
  const watch = watchReadable(fd, drain, {
    keepAlive: false,
    onError: (error) => log.warn({ error, family }, 'the reachability probe cannot read'),
  });

  function drain(): void {
    for (
      let length = recv(fd, buffer, MessageFlag.DONTWAIT);
      length !== undefined;
      length = recv(fd, buffer, MessageFlag.DONTWAIT)
    ) {
      const view = new DataView(buffer.buffer, wire.headerBytes, Math.max(0, length - wire.headerBytes));
      if (view.byteLength < 12 || view.getUint8(0) !== wire.reply || view.getUint16(4) !== identifier) continue;
      const address = view.getUint16(6) === round ? asked.get(view.getUint32(8)) : undefined;
      if (address !== undefined) onReply(address);
    }
  }

  return {
    family,
    begin(sequence: number, addresses: readonly Address[]): void {
      round = sequence;
      next = 0;
      asked.clear();
      if (addresses.length === 0) round = -1;
    },
    send(address: Address, sequence: number): void {
      const packet = echoRequest({ type: wire.request, identifier, sequence, number: next });
      asked.set(next, address);
      next += 1;
      try {
        sendto(fd, packet, internetAddress(addressToBytes(address).subarray(family === 4 ? 12 : 0), 0));
      } catch (error) {
        // No route: it stays unanswered, which is what is reported.
        if (!(error instanceof SystemError)) throw error;
      }
    },
    [Symbol.dispose](): void {
      watch[Symbol.dispose]();
      close(fd);
    },
  };
}

function echoRequest(echo: { type: number; identifier: number; sequence: number; number: number }): Uint8Array {
  const bytes = new Uint8Array(12);
  const view = new DataView(bytes.buffer);
  view.setUint8(0, echo.type);
  view.setUint16(4, echo.identifier);
  view.setUint16(6, echo.sequence);
  view.setUint32(8, echo.number);
  // The kernel writes ICMPv6 checksums by itself (RFC 3542 section 3.1), those of ICMP not.
  if (echo.type === icmp.request) view.setUint16(2, checksum(view));
  return bytes;
}

function checksum(view: DataView): number {
  let sum = 0;
  for (let offset = 0; offset < view.byteLength; offset += 2) sum += view.getUint16(offset);
  sum = (sum & 0xffff) + (sum >>> 16);
  return ~(sum + (sum >>> 16)) & 0xffff;
}
