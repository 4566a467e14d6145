/** CNI plugins called as a container runtime calls them, ours and others alike (bench/c/bench-load/cni.c). */
import { type Place, runInside } from './inside.ts';
import { benchLoad } from './load.ts';
import type { BenchNetwork } from './network.ts';

export interface CniCall {
  readonly netns: string;
  readonly ns: number;
  /** 137: killed, as was asked for. */
  readonly status: number;
  readonly answer: CniAnswer | null;
}

interface CniAnswer {
  readonly ips?: readonly { readonly address: string }[];
  readonly msg?: string;
  readonly details?: string;
}

export interface CniOptions {
  readonly node: Place;
  readonly plugin: string;
  /** The configuration's file. */
  readonly config: string;
  /** Container ids are this and a number. */
  readonly prefix: string;
  readonly netns: readonly string[];
}

/** One after the other. A call that the plugin refuses is an error, unless it was to be killed. */
export async function callCni(
  command: 'ADD' | 'DEL',
  { killAfterUs, ...options }: CniOptions & { readonly killAfterUs?: number },
): Promise<CniCall[]> {
  const extra = killAfterUs === undefined ? [] : ['--kill-after-us', String(killAfterUs)];
  const lines = await linesOf(command, options, extra);
  const calls = lines.map((line): CniCall => JSON.parse(line));
  if (killAfterUs === undefined) refuseFailures(command, options, calls);
  return calls;
}

/** All at once; gives the time until all were done as well. */
export async function callCniAtOnce(
  command: 'ADD' | 'DEL',
  options: CniOptions,
): Promise<{ readonly calls: readonly CniCall[]; readonly wholeMs: number }> {
  const lines = await linesOf(command, options, ['--parallel']);
  const { wholeNs }: { wholeNs: number } = JSON.parse(lines.at(-1) ?? '');
  const calls = lines.slice(0, -1).map((line): CniCall => JSON.parse(line));
  refuseFailures(command, options, calls);
  return { calls, wholeMs: wholeNs / 1e6 };
}

async function linesOf(
  command: string,
  { node, plugin, config, prefix, netns }: CniOptions,
  extra: readonly string[],
): Promise<string[]> {
  const words = [benchLoad, 'cni', command, plugin, config, prefix, ...extra, ...netns];
  return (await runInside({ netns: node.netns }, words)).trim().split('\n');
}

function refuseFailures(command: string, { plugin }: CniOptions, calls: readonly CniCall[]): void {
  const failed = calls.find(({ status }) => status !== 0);
  if (!failed) return;
  const { answer, status } = failed;
  throw new Error(`${plugin} ${command}: status ${status}: ${answer?.msg ?? ''} ${answer?.details ?? ''}`);
}

/** Where a client or server runs as a pod's process does. */
export interface BenchPod extends Required<Place>, AsyncDisposable {
  readonly address: string;
  /** Ends with the pod. */
  readonly stack: AsyncDisposableStack;
}

export interface PodOptions {
  readonly node: Required<Place>;
  readonly network: BenchNetwork;
  readonly plugin: string;
  readonly config: string;
  readonly name: string;
}

export async function addPod({ node, network, plugin, config, name }: PodOptions): Promise<BenchPod> {
  const netns = network.namespace();
  const call = { node, plugin, config, prefix: name, netns: [netns] };
  const [added] = await callCni('ADD', call);
  const address = added?.answer?.ips?.[0]?.address.split('/')[0];
  if (address === undefined) throw new Error(`${plugin} ADD gave no address: ${JSON.stringify(added)}`);
  const stack = new AsyncDisposableStack();
  return { netns, cgroup: node.cgroup, address, stack, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}
