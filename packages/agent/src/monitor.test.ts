import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DropReason, type KernelDrop, type PacketDrop, TracePoint } from '@sluice/datapath';
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

function kernelDrop(changes: Partial<KernelDrop>): KernelDrop {
  return {
    type: 'kernel-drop',
    reason: 58,
    functionName: 'neigh_invalidate',
    at: 0,
    device: 'eth1',
    endpointId: 0,
    packetLength: 54,
    start: 'ethernet',
    packet: packet().ethernet({}).ipv4({ source: client, destination: service }).tcp({ destinationPort: 80 }).payload(),
    ...changes,
  };
}

const unknown = {
  nameOf: () => '',
  interfaceOf: () => '',
  kernelReason: () => ({ text: '', hint: '' }),
  endpointName: () => '',
};

function shown(event: PacketDrop | KernelDrop): MonitorEvent | undefined {
  const seen: MonitorEvent[] = [];
  const nameOf = (address: unknown): string => (address === client ? 'shop/client' : '');
  const monitor = createMonitor({
    nameOf,
    interfaceOf: () => 'slc0123456789',
    kernelReason: (reason, functionName) => ({ text: `reason ${reason} in ${functionName}`, hint: 'look there' }),
    endpointName: (id) => (id === 9 ? 'shop/client' : ''),
  });
  using following = monitor.follow((line) => void seen.push(line));
  assert.ok(following);
  monitor.onEvent(event);
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

test('a packet that the kernel dropped is shown with names from its headers, the device and the function', () => {
  const event = shown(kernelDrop({}));
  assert.deepEqual([event?.source, event?.destination, event?.interface], ['shop/client', '10.96.0.9', 'eth1']);
  assert.deepEqual([event?.reason, event?.hint], ['reason 58 in neigh_invalidate', 'look there']);
  assert.deepEqual([event?.direction, event?.tracePoint], ['kernel', 'neigh_invalidate']);
});

test('inside a pod its interface is named with the pod, and a packet without a frame is read as well', () => {
  const bytes = packet().ipv4({ source: client, destination: service }).udp({ destinationPort: 53 }).payload();
  const event = shown(kernelDrop({ device: 'eth0', endpointId: 9, start: 'ip', packet: bytes }));
  assert.equal(event?.interface, 'eth0 in shop/client');
  assert.match(event?.packet ?? '', /10\.244\.0\.5.* > 10\.96\.0\.9.*UDP/);
});

test('who left is sent nothing', () => {
  const seen: MonitorEvent[] = [];
  const monitor = createMonitor(unknown);
  monitor.follow((line) => void seen.push(line))[Symbol.dispose]();
  monitor.onEvent(drop({}));
  assert.deepEqual(seen, []);
});
