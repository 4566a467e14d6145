/** Makes the test's pods and services, waits for them, and takes them away again. */
import { type Clock, sleep } from '@sluice/runtime';
import { CommandError } from '../command-error.ts';
import type { Addresses, Family, Surroundings, WorldServer } from './case.ts';
import type { Cluster, ServiceFacts } from './cluster.ts';
import { type KubernetesObject, type Placement, podPlans, podsBehind, SERVICES, workload } from './workload.ts';

export interface SetupOptions {
  readonly namespace: string;
  readonly image: string;
  readonly world: Readonly<Partial<Record<Family, WorldServer>>>;
  readonly hasOutside: boolean;
  readonly waitSeconds: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onStep: (text: string) => void;
}

const RETRY_MS = 100;

/** What the cases are made from, once everything is ready. */
export async function setUp(
  cluster: Cluster,
  nodes: Surroundings['nodes'],
  options: SetupOptions,
): Promise<Surroundings> {
  const { namespace, image, signal } = options;
  const wait = patience(options);
  const [near, far] = nodes;
  await wait(`namespace ${namespace} is not gone`, async () =>
    (await cluster.namespaceState(namespace)) === 'ending' ? { why: 'it is being deleted' } : { value: true },
  );
  const names = near.name === far.name ? `${near.name}, the only node` : `${near.name} and ${far.name}`;
  options.onStep(`pods and services in namespace ${namespace} on ${names}`);
  const placement = { namespace, image, nodes: [near.name, far.name] } as const;
  const [first, ...others] = workload(placement);
  if (first) await cluster.ensure(first, signal);
  const refused = await ensureAll(cluster, others, signal);
  const [pods, services] = await Promise.all([
    waitForPods(cluster, placement, wait),
    waitForServices(cluster, placement, refused, wait),
  ]);
  const entries = Object.entries(services);
  return {
    ...{ namespace, nodes, pods, world: options.world, hasOutside: options.hasOutside },
    services: Object.fromEntries(entries.map(([name, { addresses }]) => [name, addresses])),
    nodePorts: Object.fromEntries(entries.map(([name, { nodePorts }]) => [name, nodePorts])),
  };
}

/** The client's node and another one, where there is another. */
export async function chooseNodes(cluster: Cluster): Promise<Surroundings['nodes']> {
  const [near, far] = await cluster.readyNodes();
  if (near === undefined)
    throw new CommandError(`no node of ${cluster.server} is Ready: kubectl describe nodes tells why`);
  return [near, far ?? near];
}

/** Deletes the namespace where the test has made it, and in somebody else's only its own objects. */
export async function tearDown(
  cluster: Cluster,
  { namespace, image }: Pick<SetupOptions, 'namespace' | 'image'>,
): Promise<void> {
  const state = await cluster.namespaceState(namespace);
  if (state === 'absent' || state === 'ending') return;
  const [first, ...others] = workload({ namespace, image, nodes: ['near', 'far'] });
  const objects = state === 'ours' && first ? [first] : others;
  await Promise.all(objects.map((object) => cluster.remove(object)));
}

/** Names of what this cluster refuses to have, such as services of a family that it lacks. */
async function ensureAll(
  cluster: Cluster,
  objects: readonly KubernetesObject[],
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const outcomes = await Promise.all(
    objects.map(async (object) => ({ object, outcome: await cluster.ensure(object, signal) })),
  );
  const refused = outcomes.filter(({ outcome }) => outcome === 'refused');
  return new Set(refused.map(({ object }) => object.metadata.name));
}

async function waitForPods(cluster: Cluster, placement: Placement, wait: Wait): Promise<Record<string, Addresses>> {
  const { namespace } = placement;
  const found = podPlans(placement).map(async ({ name }) => {
    const addresses = await wait(`pod ${namespace}/${name} is not ready`, async () => {
      const state = await cluster.podState(namespace, name);
      return state.ready ? { value: state.addresses } : { why: state.why };
    });
    return [name, addresses] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

async function waitForServices(
  cluster: Cluster,
  placement: Placement,
  refused: ReadonlySet<string>,
  wait: Wait,
): Promise<Record<string, ServiceFacts>> {
  const { namespace } = placement;
  const found = SERVICES.filter(({ name }) => !refused.has(name)).map(async (plan) => {
    const { name } = plan;
    const endpoints = podsBehind(plan, placement);
    await wait(`service ${namespace}/${name} lacks endpoints`, async () => {
      const ready = await cluster.readyEndpoints(namespace, name);
      return ready >= endpoints ? { value: true } : { why: `its EndpointSlices have ${ready} of ${endpoints}` };
    });
    return [name, await cluster.service(namespace, name)] as const;
  });
  return Object.fromEntries(await Promise.all(found));
}

type Look<Value> = () => Promise<{ readonly value: Value } | { readonly why: string }>;
type Wait = <Value>(failure: string, look: Look<Value>) => Promise<Value>;

/** Looks again and again for one thing or another, until the time for all of them together is over. */
function patience({ clock, signal, waitSeconds }: SetupOptions): Wait {
  const end = nowMs(clock) + waitSeconds * 1000;
  return async (failure, look) => {
    for (;;) {
      signal.throwIfAborted();
      const found = await look();
      if ('value' in found) return found.value;
      if (nowMs(clock) > end) throw new CommandError(`${failure} after ${waitSeconds} s: ${found.why}`);
      await sleep(clock, RETRY_MS, signal);
    }
  };
}

const nowMs = (clock: Clock): number => Number(clock.monotonicNs()) / 1e6;
