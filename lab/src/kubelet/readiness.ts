import { setTimeout as delay } from 'node:timers/promises';
import type { ContainerRunner } from './container.ts';
import { type Prober, probeTarget } from './prober.ts';

// A kubelet asks at full periods only; a pod of the lab is ready milliseconds after its start and should be seen to be.
const eagerMs = { first: 10, most: 1_000 };
const idleMs = 50;

/** Asks a container's readiness probe until the signal, and tells the container what came of it. */
export async function watchReadiness(
  container: ContainerRunner,
  options: { prober: Prober; address: string; signal: AbortSignal; unhealthy: (message: string) => void },
): Promise<void> {
  const { prober, address, signal, unhealthy } = options;
  const probe = container.spec.readinessProbe;
  if (!probe) return;
  const wait = (ms: number) => delay(ms, undefined, { signal }).catch(() => undefined);
  const target = probeTarget(container.spec, probe, address);
  if ('problem' in target) return unhealthy(target.problem);
  await wait((probe.initialDelaySeconds ?? 0) * 1000);
  let failures = 0;
  let successes = 0;
  let eager = eagerMs.first;
  while (!signal.aborted) {
    if (!container.isRunning) {
      [failures, successes, eager] = [0, 0, eagerMs.first];
      await wait(idleMs);
      continue;
    }
    const reason = await prober.probe(target);
    [failures, successes] = reason === undefined ? [0, successes + 1] : [failures + 1, 0];
    if (signal.aborted) return;
    const periodMs = (probe.periodSeconds ?? 10) * 1000;
    if (reason === undefined && successes >= (probe.successThreshold ?? 1)) {
      container.setReady(true);
      eager = eagerMs.first;
      await wait(periodMs);
      continue;
    }
    const wasReady = container.status.ready;
    if (reason !== undefined && (!wasReady || failures >= (probe.failureThreshold ?? 3))) {
      container.setReady(false);
      if (wasReady || eager >= eagerMs.most) unhealthy(`Readiness probe failed: ${reason}`);
    }
    await wait(wasReady ? periodMs : Math.min(eager, periodMs));
    eager = Math.min(2 * eager, eagerMs.most);
  }
}
