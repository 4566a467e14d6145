/** From the API server's writing that a service has another endpoint, until a connection reaches it. */
import { setTimeout as delay } from 'node:timers/promises';
import { seededRandom } from '@sluice/testing';
import { interrupted } from '../interruption.ts';
import { type BenchCluster, measuredService } from './cluster.ts';
import type { BenchPod } from './cni.ts';
import type { Place } from './inside.ts';
import { type Change, watch } from './load.ts';

/** A client asks so often; half of it is what the figure is too high in the middle. */
export const changeIntervalUs = 200;
const changeTimeoutMs = 5_000;

export interface Endpoints {
  readonly client: Place;
  /** Who answers now, and who will after the first change; by their tokens. */
  readonly servers: Readonly<Record<'a' | 'b', BenchPod>>;
}

/** Milliseconds that each of so many changes took. */
export async function endpointChanges(
  cluster: Pick<BenchCluster, 'expose'>,
  { client, servers }: Endpoints,
  count: number,
): Promise<number[]> {
  const changes: Change[] = [];
  const onChange = (change: Change) => changes.push(change);
  await using _ = await watch(client, measuredService, { intervalUs: changeIntervalUs, onChange });
  const random = seededRandom(1);
  const tookMs: number[] = [];
  for (let round = 0; round < count; round += 1) {
    interrupted.throwIfAborted();
    const token = round % 2 === 0 ? 'b' : 'a';
    const { writtenNs } = await cluster.expose(servers[token]);
    const change = await seen(changes, token);
    tookMs.push((change.connectedNs - Number(writtenNs)) / 1e6);
    // Not in step with any timer.
    await delay(20 + 60 * random());
  }
  return tookMs;
}

/** The first connection of all that the new server answered. */
async function seen(changes: Change[], token: string): Promise<Change> {
  for (const end = performance.now() + changeTimeoutMs; performance.now() < end; await delay(1)) {
    const index = changes.findIndex((change) => change.token === token);
    if (index >= 0) return changes.splice(0, index + 1).at(-1) ?? { token, connectedNs: Number.NaN };
  }
  throw new Error(`the service does not lead to ${token} after ${changeTimeoutMs} ms`);
}
