import { type Client, startCommand } from './clients.ts';
import type { TestLab } from './test-lab.ts';

export interface CrowdOptions {
  /** Connections that stay, each asked over once a second. */
  readonly kept?: number;
  /** New ones a second. */
  readonly rate?: number;
}

/** Many clients of one address in one process. */
export function startCrowd(
  lab: TestLab,
  from: string,
  [address, port]: readonly [address: string, port: number],
  { kept = 0, rate = 0 }: CrowdOptions,
): Client {
  const numbers = ['--kept', String(kept), '--rate', String(rate), '--timeout', '10000'];
  return startCommand(lab, from, ['lab-pod', 'crowd', address, String(port), ...numbers]);
}
