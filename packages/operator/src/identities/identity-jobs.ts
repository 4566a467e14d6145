import type { IdentityChange, LabelRules } from '@sluice/identity';
import type { KubeClient } from '@sluice/kube';
import type { Clock, Logger } from '@sluice/runtime';
import type { Controllers } from '@sluice/state';
import type { Cluster } from '../cluster.ts';
import { IdentityAllocation } from './allocation.ts';
import { type GarbageCounts, IdentityGarbage } from './garbage.ts';
import { IdentityObjects } from './identity-objects.ts';
import { WantedIdentities } from './wanted-identities.ts';

export interface IdentityJobsOptions {
  readonly client: KubeClient;
  readonly cluster: Cluster;
  readonly rules: LabelRules;
  /** 0: nothing is ever collected. */
  readonly garbageIntervalMs: number;
  readonly garbageGraceMs: number;
  /** Told of each round; without counts: it failed. */
  readonly onGarbageRound?: (round: { readonly seconds: number; readonly counts: GarbageCounts | undefined }) => void;
  readonly controllers: Controllers;
  readonly clock: Clock;
  readonly log: Logger;
}

const allocationIntervalMs = 60_000;
const allocationBackoffMaxMs = 30_000;
const sweepIntervalMs = 600_000;

/** What the leader does about identities, until it is disposed of. */
export function startIdentityJobs(options: IdentityJobsOptions): AsyncDisposable {
  const { cluster, client, controllers, garbageIntervalMs } = options;
  const { identities, labelSets, pods, namespaces } = cluster;
  const jobs = new AsyncDisposableStack();
  const wanted = jobs.use(new WantedIdentities({ ...options, ...cluster }));
  const objects = new IdentityObjects(client);
  const shared = { ...options, ...cluster, wanted, objects };
  const allocation = new IdentityAllocation(shared);
  const controller = jobs.use(
    controllers.start({
      name: 'identities',
      intervalMs: allocationIntervalMs,
      backoffMaxMs: allocationBackoffMaxMs,
      run: async (signal) => {
        // Before the lists are in, every number would look free and every set without one.
        if (!isKnown(cluster)) return;
        allocation.addAll();
        await allocation.run(signal);
      },
    }),
  );
  const look = (sets: Parameters<IdentityAllocation['add']>[0]): void => {
    if (!isKnown(cluster)) return;
    allocation.add(sets);
    if (allocation.waiting > 0) controller.trigger();
  };
  jobs.use(wanted.subscribe(look));
  const lost = (changes: readonly IdentityChange[]) =>
    changes.flatMap(({ before }) => (before !== undefined && wanted.has(before) ? [before] : []));
  jobs.use(identities.subscribe((changes) => look(lost(changes))));
  for (const source of [pods, namespaces, identities]) {
    // Called without changes when its first list is in, and after the last of the three all that is missing shows.
    jobs.use(source.subscribe((changes: readonly unknown[]) => void (changes.length === 0 && controller.trigger())));
  }
  if (garbageIntervalMs > 0) {
    const garbage = new IdentityGarbage({ ...shared, graceMs: options.garbageGraceMs });
    const run = async (signal: AbortSignal): Promise<void> => {
      if (isKnown(cluster) && cluster.slices.initialized) await collect(garbage, options, signal);
    };
    jobs.use(controllers.start({ name: 'identity-garbage', intervalMs: garbageIntervalMs, run }));
  }
  const living = function* () {
    for (const { labels } of pods.list()) if (labels !== undefined) yield labels;
    yield* wanted.sets();
    yield* identities.sets();
  };
  const sweep = () => labelSets.sweep(living());
  jobs.use(controllers.start({ name: 'label-sweep', intervalMs: sweepIntervalMs, run: sweep }));
  return jobs;
}

async function collect(garbage: IdentityGarbage, options: IdentityJobsOptions, signal: AbortSignal): Promise<void> {
  const { clock, onGarbageRound } = options;
  const beganNs = clock.monotonicNs();
  const tell = (counts: GarbageCounts | undefined) =>
    onGarbageRound?.({ seconds: Number(clock.monotonicNs() - beganNs) / 1e9, counts });
  try {
    tell(await garbage.round(signal));
  } catch (error) {
    tell(undefined);
    throw error;
  }
}

function isKnown({ pods, namespaces, identities }: Cluster): boolean {
  return pods.initialized && namespaces.initialized && identities.initialized;
}
