/** Sets the workload up, tries every case and tells of each as soon as it is known. */
import { type Clock, sleep } from '@sluice/runtime';
import { CommandError } from '../command-error.ts';
import { counted } from '../output.ts';
import { type Addresses, type Case, casesOf, type Surroundings } from './cases.ts';
import type { Cluster } from './cluster.ts';
import { failureOf } from './verdict.ts';
import { type Placement, podPlans, SERVICES, workload } from './workload.ts';

export interface RunOptions {
  readonly namespace: string;
  readonly image: string;
  readonly only: RegExp | undefined;
  readonly waitSeconds: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly onStep: (text: string) => void;
  readonly onResult: (result: CaseResult) => void;
}

export interface CaseResult {
  readonly name: string;
  readonly from: string;
  readonly command: string;
  readonly ms: number;
  /** Undefined: passed. */
  readonly failure: string | undefined;
  /** More than one where the tables had not reached the node yet. */
  readonly tries: number;
}

/** A change of a service reaches every node within this time, or the case fails. */
const PROPAGATION_MS = 3_000;
const RETRY_MS = 100;

export async function runConnectivityTest(cluster: Cluster, options: RunOptions): Promise<CaseResult[]> {
  const placement = { namespace: options.namespace, image: options.image, nodes: await chooseNodes(cluster) };
  options.onStep(`pods and services in namespace ${options.namespace} on ${placement.nodes.join(' and ')}`);
  for (const object of workload(placement)) await cluster.ensure(object);
  const surroundings = await waitForWorkload(cluster, placement, options);
  const cases = casesOf(surroundings).filter((entry) => options.only === undefined || options.only.test(entry.name));
  if (cases.length === 0)
    throw new CommandError(
      `no case matches ${String(options.only)}; names are such as pod-to-service/hairpin/tcp/ipv4`,
      { exitCode: 2 },
    );
  options.onStep(counted(cases.length, 'case'));
  const results: CaseResult[] = [];
  for (const entry of cases) {
    const result = await tryCase(cluster, options, entry);
    results.push(result);
    options.onResult(result);
  }
  return results;
}

async function chooseNodes(cluster: Cluster): Promise<[string, string]> {
  const [near, far] = await cluster.readyNodes();
  if (near === undefined)
    throw new CommandError(`no node of ${cluster.server} is Ready: kubectl describe nodes tells why`);
  return [near, far ?? near];
}

async function waitForWorkload(cluster: Cluster, placement: Placement, options: RunOptions): Promise<Surroundings> {
  const { namespace } = placement;
  const wait = patience(options);
  const pods: Record<string, Addresses> = {};
  for (const { name } of podPlans(placement)) {
    pods[name] = await wait(`pod ${namespace}/${name} is not ready`, async () => {
      const state = await cluster.podState(namespace, name);
      return state.ready ? { value: state.addresses } : { why: state.why };
    });
  }
  const services: Record<string, Addresses> = {};
  for (const name of SERVICES) {
    if (name !== 'nobody') {
      await wait(`service ${namespace}/${name} has no endpoint`, async () =>
        (await cluster.readyEndpoints(namespace, name)) > 0 ? { value: true } : { why: 'its EndpointSlices are empty' },
      );
    }
    services[name] = await cluster.serviceAddresses(namespace, name);
  }
  return { namespace, nodes: placement.nodes, pods, services };
}

type Look<Value> = () => Promise<{ readonly value: Value } | { readonly why: string }>;

/** Looks again and again for one thing after another, until the time for all of them together is over. */
function patience({ clock, signal, waitSeconds }: RunOptions) {
  const end = nowMs(clock) + waitSeconds * 1000;
  return async <Value>(failure: string, look: Look<Value>): Promise<Value> => {
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

/** Why the case failed. An exec that breaks fails this case and not the whole test. */
async function attempt(cluster: Cluster, namespace: string, entry: Case): Promise<string | undefined> {
  try {
    return failureOf(entry.expected, await cluster.exec(namespace, entry.from, entry.command));
  } catch (error) {
    if (error instanceof CommandError) return error.message;
    throw error;
  }
}

async function tryCase(cluster: Cluster, options: RunOptions, entry: Case): Promise<CaseResult> {
  const { clock, signal } = options;
  const started = nowMs(clock);
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    const attempted = nowMs(clock);
    const failure = await attempt(cluster, options.namespace, entry);
    const ended = nowMs(clock);
    if (failure === undefined || ended - started > PROPAGATION_MS) {
      return {
        name: entry.name,
        from: entry.from,
        command: entry.command.join(' '),
        ms: ended - attempted,
        failure,
        tries,
      };
    }
    await sleep(clock, RETRY_MS, signal);
  }
}
