import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DropReason, type PacketDrop, TracePoint } from '@sluice/datapath';
import { packet, parseAddress } from '@sluice/net';
import { createMonitor } from './monitor.ts';
import type { MonitorEvent } from './report.ts';

const client = parseAddress('10.244.0.5');
const service = parseAddress('10.96.0.9');

function drop(changes: Partial<PacketDrop>): PacketDrop {
  return {
    type: 'drop',
    reason: DropReason.NoBackend,
    direction: 'egress',
    tracePoint: TracePoint.FromPod,
    at: 0,
    ifindex: 7,
    source: client,
    destination: service,
    sourcePort: 40_000,
    destinationPort: 80,
    protocol: 6,
    sourceIdentity: 4711,
    destinationIdentity: 2,
    endpointId: 1,
    packetLength: 54,
    line: 1,
    packet: packet().ethernet({}).ipv4({ source: client, destination: service }).tcp({ destinationPort: 80 }).payload(),
    ...changes,
  };
}

function shown(event: PacketDrop): MonitorEvent | undefined {
  const seen: MonitorEvent[] = [];
  const nameOf = (address: unknown): string => (address === client ? 'shop/client' : '');
  const monitor = createMonitor({ nameOf, interfaceOf: () => 'slc0123456789' });
  using following = monitor.follow((line) => void seen.push(line));
  assert.ok(following);
  monitor.onDrop(event);
  return seen[0];
}

test('a dropped packet is shown with names, the reason, a hint and what tcpdump would say', () => {
  const event = shown(drop({}));
  assert.deepEqual([event?.source, event?.destination], ['shop/client', '10.96.0.9']);
  assert.match(event?.packet ?? '', /10\.244\.0\.5.* > 10\.96\.0\.9/);
  assert.match(event?.hint ?? '', /\w/);
});

test('a connect() that was refused at the socket had no packet, and says what was asked for', () => {
  const event = shown(drop({ tracePoint: TracePoint.Socket, packet: new Uint8Array(), packetLength: 0, ifindex: 0 }));
  assert.equal(event?.packet, 'TCP 10.244.0.5 > 10.96.0.9:80 connect() refused');
});

test('who left is sent nothing', () => {
  const seen: MonitorEvent[] = [];
  const monitor = createMonitor({ nameOf: () => '', interfaceOf: () => '' });
  monitor.follow((line) => void seen.push(line))[Symbol.dispose]();
  monitor.onDrop(drop({}));
  assert.deepEqual(seen, []);
});
