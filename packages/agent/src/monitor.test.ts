import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type ConnectionTrace,
  CtState,
  DropReason,
  type KernelDrop,
  type PacketDrop,
  TracePoint,
} from '@sluice/datapath';
import { packet, parseAddress } from '@sluice/net';
import { createMonitor } from './monitor.ts';
import { QueryError } from './query.ts';
import type { MonitorDrop, MonitorEvent } from './report.ts';

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

/** Of what comes, not of what has been. */
const everything = { types: ['drop', 'trace'], isWanted: () => true, last: 0 } as const;

const unknown = {
  nameOf: () => '',
  interfaceOf: () => '',
  kernelReason: () => ({ text: '', hint: '' }),
  kernelReasons: () => ['wrong checksum [IP_CSUM]', 'neighbour failed [NEIGH_FAILED]'],
  othersAt: () => '',
  endpointName: () => '',
};

function shown(event: PacketDrop | KernelDrop): MonitorDrop | undefined {
  const seen: MonitorEvent[] = [];
  const nameOf = (address: unknown): string => (address === client ? 'shop/client' : '');
  const monitor = createMonitor({
    ...unknown,
    nameOf,
    interfaceOf: () => 'slc0123456789',
    kernelReason: (reason, functionName) => ({ text: `reason ${reason} in ${functionName}`, hint: 'look there' }),
    othersAt: () => '',
    endpointName: (id) => (id === 9 ? 'shop/client' : ''),
  });
  using following = monitor.follow(everything, (line) => void seen.push(line));
  assert.ok(following);
  monitor.onEvent(event);
  const [first] = seen;
  return first?.type === 'drop' ? first : undefined;
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
  assert.equal(event.interface, '', 'nobody asks for device 0, which no kernel knows');
});

test('a bind() that was refused names the port', () => {
  const { PortOfService: reason } = DropReason;
  const event = shown(drop({ reason, tracePoint: TracePoint.Socket, packet: new Uint8Array(), packetLength: 0 }));
  assert.equal(event?.packet, 'TCP bind() to 10.96.0.9:80 refused');
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

test("what another's program dropped names the programs of others at that device", () => {
  const monitor = createMonitor({
    ...unknown,
    kernelReason: () => ({ text: 'dropped by another program at ingress', hint: 'not ours' }),
    othersAt: (device) => (device === 'slc01' ? 'fw (id 7, ingress of slc01, before ours)' : ''),
  });
  const hints: string[] = [];
  using _following = monitor.follow(everything, (event) => void (event.type === 'drop' && hints.push(event.hint)));
  for (const device of ['slc01', 'eth1']) monitor.onEvent(kernelDrop({ device }));
  assert.deepEqual(hints, ['fw (id 7, ingress of slc01, before ours)', 'not ours']);
});

test('who left is sent nothing', () => {
  const seen: MonitorEvent[] = [];
  const monitor = createMonitor(unknown);
  monitor.follow(everything, (line) => void seen.push(line))[Symbol.dispose]();
  monitor.onEvent(drop({}));
  assert.deepEqual(seen, []);
});

const query = (text: string) => createMonitor(unknown).query(new URLSearchParams(text));

test('who asks afterwards is shown the last events that are wanted, oldest first', () => {
  const monitor = createMonitor(unknown);
  for (let port = 1; port <= 1_500; port++) monitor.onEvent(drop({ sourcePort: port, at: port }));
  const ports = (text: string) => monitor.recent(query(text)).map(({ sourcePort }) => sourcePort);
  assert.deepEqual(ports('last=3'), [1498, 1499, 1500]);
  assert.deepEqual(ports('since=1499'), [1499, 1500]);
  assert.deepEqual(ports('last=5&port=700'), [700]);
  assert.equal(ports('last=2000').length, 1_000, 'so many are kept');
  assert.deepEqual(ports(''), []);
});

test('who follows is first shown what has been, as far as wanted, then what comes', () => {
  const monitor = createMonitor(unknown);
  monitor.onEvent(drop({ sourcePort: 1 }));
  monitor.onEvent(drop({ sourcePort: 2 }));
  const seen: number[] = [];
  using following = monitor.follow(query('last=1&protocol=tcp'), ({ sourcePort }) => seen.push(sourcePort));
  assert.ok(following);
  monitor.onEvent(drop({ sourcePort: 3, protocol: 17 }));
  monitor.onEvent(drop({ sourcePort: 4 }));
  assert.deepEqual(seen, [2, 4]);
});

test('a reason is found by a part of it, however it is written', () => {
  const monitor = createMonitor(unknown);
  monitor.onEvent(drop({ reason: DropReason.NoBackend }));
  monitor.onEvent(drop({ reason: DropReason.TtlExceeded }));
  const count = (text: string) => monitor.recent(query(`last=9&${text}`)).length;
  assert.deepEqual(
    [count('reason=no_backend'), count('reason=backend&reason=ttl'), count('reason=checksum')],
    [1, 2, 0],
  );
  monitor.onEvent(drop({ reason: DropReason.NatExhausted }));
  assert.deepEqual([count('reason=nat_exhausted'), count('reason=NAT')], [1, 1], 'by its name');
  assert.deepEqual([count('reason=dropped_by_the_kernel in ip_rcv'), count('reason=neighbour_failed')], [0, 0]);
  assert.throws(() => query('reason=nothing'), /reason nothing: .*docs\/drop-reasons.md/);
});

function trace(changes: Partial<ConnectionTrace> = {}): ConnectionTrace {
  return {
    type: 'trace',
    state: CtState.Established,
    direction: 'egress',
    tracePoint: TracePoint.FromPod,
    at: 0,
    ifindex: 7,
    source: { address: client, port: 40_000 },
    destination: { address: parseAddress('10.244.1.7'), port: 8080 },
    protocol: 6,
    frontend: { address: service, port: 80 },
    translatedSource: undefined,
    sourceIdentity: 4711,
    destinationIdentity: 2,
    endpointId: 1,
    tcpFlags: [2, 18],
    packets: [2, 1],
    bytes: [120, 60],
    ...changes,
  };
}

test('a connection whose state has changed is told with the service that was asked, and only to who asks for traces', () => {
  const monitor = createMonitor({ ...unknown, nameOf: (address) => (address === client ? 'shop/client' : '') });
  const seen: MonitorEvent[] = [];
  using following = monitor.follow(query('type=trace'), (event) => seen.push(event));
  using drops = monitor.follow(query(''), () => assert.fail('a trace is no drop'));
  assert.ok(following && drops);
  monitor.onEvent(trace());
  const [event] = seen;
  assert.ok(event?.type === 'trace');
  assert.deepEqual(
    [event.state, event.source, event.frontend, event.translatedSource, event.packets],
    ['established', 'shop/client', { address: service, port: 80, name: '' }, undefined, { sent: 2, replied: 1 }],
  );
});

test('drops and traces are kept apart, and shown together in their order', () => {
  const monitor = createMonitor(unknown);
  monitor.onEvent(drop({ at: 2 }));
  for (let at = 0; at < 5_000; at += 2) monitor.onEvent(trace({ at: at + 1 }));
  monitor.onEvent(drop({ at: 5_000 }));
  assert.deepEqual(
    monitor.recent(query('last=9')).map(({ at }) => at),
    [2, 5_000],
    'many traces push no drop out',
  );
  const both = monitor.recent(query('type=drop&type=trace&last=2'));
  assert.deepEqual(
    both.map(({ type, at }) => [type, at]),
    [
      ['trace', 4_999],
      ['drop', 5_000],
    ],
  );
  assert.deepEqual(monitor.recent(query('type=trace&last=9&reason=backend')), [], 'a trace has no reason');
});

test('the kernel names ports and protocol of what it dropped, as far as the packet tells', () => {
  const event = shown(kernelDrop({}));
  assert.deepEqual(
    [event?.protocol, event?.sourceAddress, event?.destinationAddress, event?.destinationPort],
    ['TCP', '10.244.0.5', '10.96.0.9', 80],
  );
});

test('a question that is none is refused with what would do', () => {
  assert.throws(() => query('type=flow'), QueryError);
  assert.throws(() => query('last=many'), /last many: a whole number/);
  assert.throws(() => query('pods=x'), /no parameter pods; there are type, reason, since, last, pod, /);
});
