import { type Client, startCommand } from './clients.ts';
import type { TestLab } from './test-lab.ts';

export interface CrowdOptions {
  /** Connections that stay, each asked over once a second. */
  readonly kept?: number;
  /** New ones a second. */
  readonly rate?: number;
  /** A line for each new one, see `metBackends`. */
  readonly tells?: boolean;
}

/** Many clients of one address in one process. */
export function startCrowd(
  lab: TestLab,
  from: string,
  [address, port]: readonly [address: string, port: number],
  { kept = 0, rate = 0, tells = false }: CrowdOptions,
): Client {
  const numbers = ['--kept', String(kept), '--rate', String(rate), '--timeout', '10000', ...(tells ? ['--tell'] : [])];
  return startCommand(lab, from, ['lab-pod', 'crowd', address, String(port), ...numbers]);
}

/** A new connection of a crowd that tells. Times are microseconds of CLOCK_MONOTONIC. */
export interface MetBackend {
  readonly begunUs: number;
  readonly answeredUs: number;
  /** The pod that answered. */
  readonly pod: string;
}

export function metBackends(output: string): MetBackend[] {
  return [...output.matchAll(/^new begun=(\d+) answered=(\d+) host=(\S+) /gm)].map(([, begun, answered, pod = '']) => ({
    begunUs: Number(begun),
    answeredUs: Number(answered),
    pod,
  }));
}
