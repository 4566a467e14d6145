/** The program that makes the load (bench/c), as functions. The client runs on CPU 0, the server on CPU 1. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { installationRoot } from '@sluice/runtime';
import { type Place, runInside, type Standing, startInside } from './inside.ts';

export const benchLoad = join(installationRoot(), 'dist/bin/bench-load');
const clientCpu = ['--cpu', '0'];
const serverCpu = ['--cpu', '1'];

export const serverPort = 8080;

/** Whom a client asks, and who must answer, every time. */
export interface Target {
  readonly address: string;
  readonly port: number;
  readonly token: string;
}

export interface ShortConnections {
  /** Whole exchanges a second. */
  readonly rate: number;
  readonly connectP50Ns: number;
  readonly connectP99Ns: number;
}

export interface UdpConnects {
  /** Of a fresh socket. */
  readonly connectNs: number;
  /** Of the same socket once more. */
  readonly connectAgainNs: number;
  readonly socketConnectCloseNs: number;
}

type Answers = { readonly answers: Readonly<Record<string, number>> };

export function serve(place: Place, token: string, port = serverPort): Promise<Standing> {
  return startInside(place, [benchLoad, 'serve', String(port), token, ...serverCpu], { onLine: () => undefined });
}

/** For as many clients at once as like, where `serve` has one after the other. */
export function serveMany(place: Place, token: string, port = serverPort): Promise<Standing> {
  return startInside(place, [benchLoad, 'serve-many', String(port), token, ...serverCpu], { onLine: () => undefined });
}

export function shortConnections(place: Place, target: Target, count: number): Promise<ShortConnections> {
  return asked<ShortConnections>('connect', place, target, ['--count', String(count)]);
}

export function udpConnects(place: Place, target: Target, count: number): Promise<UdpConnects> {
  return asked<UdpConnects>('udp', place, target, ['--count', String(count)]);
}

/** The server counts what arrives; the client fails if that is not what it sent. */
export async function stream(place: Place, target: Target, milliseconds: number): Promise<number> {
  const words = ['stream', target.address, String(target.port), '--milliseconds', String(milliseconds), ...clientCpu];
  const { gigabitsPerSecond }: { gigabitsPerSecond: number } = JSON.parse(
    await runInside(place, [benchLoad, ...words]),
  );
  return gigabitsPerSecond;
}

const answeredTimeoutMs = 10_000;

/** Waits until the target answers: what the API server was told has reached the kernel. */
export function untilAnswered(place: Place, target: Target): Promise<void> {
  return untilDone(() => shortConnections(place, target, 1));
}

/** Whoever of its backends it is. */
export function untilAnyAnswers(place: Place, { address, port }: Omit<Target, 'token'>): Promise<void> {
  return untilDone(() => runInside(place, [benchLoad, 'connect', address, String(port), '--count', '1']));
}

async function untilDone(attempt: () => Promise<unknown>): Promise<void> {
  for (const end = performance.now() + answeredTimeoutMs; ; await delay(20)) {
    try {
      await attempt();
      return;
    } catch (error) {
      if (performance.now() > end) throw error;
    }
  }
}

async function asked<Result>(
  command: string,
  place: Place,
  { address, port, token }: Target,
  options: readonly string[],
): Promise<Result> {
  const output = await runInside(place, [benchLoad, command, address, String(port), ...options, ...clientCpu]);
  const result: Result & Answers = JSON.parse(output);
  assert.deepEqual(Object.keys(result.answers), [token], `${address}:${port} is answered by the wrong server`);
  return result;
}

export interface PortsOptions {
  readonly count: number;
  /** Of the client's own ports. */
  readonly first: number;
  /** One of the client's own addresses, where it has several. */
  readonly source?: string;
}

/** Datagrams from so many ports; how many were answered, each to itself, before one was not. */
export async function answeredPorts(
  place: Place,
  { address, port }: Target,
  { count, first, source }: PortsOptions,
): Promise<number> {
  const options = ['--count', String(count), '--first-port', String(first), ...(source ? ['--source', source] : [])];
  const output = await runInside(place, [benchLoad, 'ports', address, String(port), ...options, ...clientCpu]);
  const { answered }: { answered: number } = JSON.parse(output);
  return answered;
}

export interface Change {
  readonly token: string;
  /** CLOCK_MONOTONIC, as `process.hrtime`. */
  readonly connectedNs: number;
}

/** Asks all the time and tells whenever another server answers. */
export function watch(
  place: Place,
  { address, port }: Target,
  { intervalUs, onChange }: { readonly intervalUs: number; readonly onChange: (change: Change) => void },
): Promise<Standing> {
  const words = ['watch', address, String(port), '--interval-us', String(intervalUs), ...clientCpu];
  return startInside(place, [benchLoad, ...words], { onLine: (line) => onChange(JSON.parse(line)) });
}
