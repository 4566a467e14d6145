/** Sets the workload up, tries every case and tells of each as soon as it is known. */
import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from '../command-error.ts';
import { type Addresses, type Case, casesOf, type Surroundings } from './cases.ts';
import type { Cluster } from './cluster.ts';
import { failureOf } from './verdict.ts';
import { type Placement, podPlans, SERVICES, workload } from './workload.ts';

export interface RunOptions {
  readonly namespace: string;
  readonly image: string;
  readonly only: RegExp | undefined;
  readonly waitSeconds: number;
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
  if (cases.length === 0) throw new CommandError(`no case matches ${String(options.only)}`, { exitCode: 2 });
  options.onStep(`${cases.length} cases`);
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
  if (near === undefined) throw new CommandError(`no node of ${cluster.server} is Ready: kubectl get nodes`);
  return [near, far ?? near];
}

async function waitForWorkload(cluster: Cluster, placement: Placement, options: RunOptions): Promise<Surroundings> {
  const { namespace } = placement;
  const end = performance.now() + options.waitSeconds * 1000;
  const pods: Record<string, Addresses> = {};
  for (const { name } of podPlans(placement)) {
    pods[name] = await until(end, options.signal, `pod ${namespace}/${name} is not ready`, async () => {
      const state = await cluster.podState(namespace, name);
      return state.ready ? { value: state.addresses } : { why: state.why };
    });
  }
  const services: Record<string, Addresses> = {};
  for (const name of SERVICES) {
    if (name !== 'nobody') {
      await until(end, options.signal, `service ${namespace}/${name} has no endpoint`, async () =>
        (await cluster.readyEndpoints(namespace, name)) > 0 ? { value: true } : { why: 'its EndpointSlices are empty' },
      );
    }
    services[name] = await cluster.serviceAddresses(namespace, name);
  }
  return { namespace, nodes: placement.nodes, pods, services };
}

async function until<Value>(
  end: number,
  signal: AbortSignal,
  failure: string,
  look: () => Promise<{ readonly value: Value } | { readonly why: string }>,
): Promise<Value> {
  for (;;) {
    const found = await look();
    if ('value' in found) return found.value;
    if (performance.now() > end) throw new CommandError(`${failure}: ${found.why}`);
    await sleep(RETRY_MS, undefined, { signal });
  }
}

async function tryCase(cluster: Cluster, options: RunOptions, entry: Case): Promise<CaseResult> {
  const started = performance.now();
  for (let tries = 1; ; tries += 1) {
    options.signal.throwIfAborted();
    const attempted = performance.now();
    const outcome = await cluster.exec(options.namespace, entry.from, entry.command);
    const failure = failureOf(entry.expected, outcome);
    const ended = performance.now();
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
    await sleep(RETRY_MS, undefined, { signal: options.signal });
  }
}
