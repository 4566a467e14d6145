import { benchCluster, sluiceCni } from '../environment/cluster.ts';
import { type CniCall, type CniOptions, callCni, callCniAtOnce } from '../environment/cni.ts';
import type { BenchNetwork } from '../environment/network.ts';
import { inTurn, ratios } from '../pairs.ts';
import { referencePlugins } from '../peers/reference-cni.ts';
import { type Figure, type Row, ratio } from '../row.ts';
import { estimate, median, quantile } from '../statistics.ts';

const services = 200;
const podsAtOnce = 110;

interface Contender {
  /** Absent: ours. */
  readonly peer?: string;
  readonly call: Omit<CniOptions, 'prefix' | 'netns'>;
}

interface Times {
  readonly addMs: readonly number[];
  readonly delMs: readonly number[];
}

export const cni: Row = {
  name: 'cni',
  sentence: `A pod's ADD and DEL by executables called as a container runtime calls them, one after the other and ${podsAtOnce} at once, among ${services} services`,
  goal: 'ADD p50 5 ms, p99 12 ms; DEL p50 8 ms; 110 pods at once 1.5 s',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services });
    const { network } = cluster;
    const [node] = cluster.nodes;
    if (!node) throw new Error('the cluster has no node');
    const contenders: Contender[] = [
      { call: { node, plugin: sluiceCni, config: node.cniConfig } },
      ...referencePlugins(network, cluster.directory).map(({ peer, ...call }) => ({ peer, call })),
    ];
    const [rounds, pods, bursts] = quick ? [3, 4, 1] : [25, 10, 3];
    let number = 0;
    const prefix = () => `bench${number++}-`;
    progress('one after the other');
    const times = await inTurn(
      rounds,
      contenders.map(
        ({ call }) =>
          () =>
            addAndDelete(network, { ...call, prefix: prefix() }, pods),
      ),
    );
    progress(`${podsAtOnce} at once`);
    const wholeMs = await inTurn(
      bursts,
      contenders.map(
        ({ call }) =>
          () =>
            burst(network, { ...call, prefix: prefix() }),
      ),
    );
    const [ours = []] = times;
    return {
      figures: contenders.flatMap(({ peer }, index) => {
        const theirs = times[index] ?? [];
        const figures = peer === undefined ? ourFigures(ours) : peerFigures(peer, theirs, ours);
        const atOnce = median(wholeMs[index] ?? []);
        return [...figures, burstFigure(atOnce, peer)];
      }),
      notes: [
        'While our program is attached the kernel is made to hurry (`packages/datapath/src/grace-periods.ts`); the reference plugins attach nothing. DEL answers once nobody finds the pod, and a child waits for the deletion of its pair: the slowest calls are those that met the lock of all devices in such a deletion.',
        `ADD and DEL of ${rounds * pods} pods each, ${bursts} times ${podsAtOnce} at once; each answer has addresses.`,
      ],
    };
  },
};

async function addAndDelete(network: BenchNetwork, call: Omit<CniOptions, 'netns'>, pods: number): Promise<Times> {
  const netns = Array.from({ length: pods }, () => network.namespace());
  const milliseconds = (calls: readonly CniCall[]) => calls.map(({ ns }) => ns / 1e6);
  const addMs = milliseconds(withAddresses(await callCni('ADD', { ...call, netns })));
  const delMs = milliseconds(await callCni('DEL', { ...call, netns }));
  for (const path of netns) network.remove(path);
  return { addMs, delMs };
}

async function burst(network: BenchNetwork, call: Omit<CniOptions, 'netns'>): Promise<number> {
  const netns = Array.from({ length: podsAtOnce }, () => network.namespace());
  const { calls, wholeMs } = await callCniAtOnce('ADD', { ...call, netns });
  withAddresses(calls);
  await callCniAtOnce('DEL', { ...call, netns });
  for (const path of netns) network.remove(path);
  return wholeMs;
}

function withAddresses(calls: readonly CniCall[]): readonly CniCall[] {
  const addresses = calls.map(({ answer }) => answer?.ips?.[0]?.address);
  if (addresses.includes(undefined)) throw new Error('an ADD gave no address');
  if (new Set(addresses).size < addresses.length) throw new Error('two pods have the same address');
  return calls;
}

function ourFigures(times: readonly Times[]): Figure[] {
  const [addMs, delMs] = [times.flatMap((one) => one.addMs), times.flatMap((one) => one.delMs)];
  return [
    { what: 'ADD p50', value: quantile(addMs, 0.5), unit: 'ms', goal: { atMost: 5 } },
    { what: 'ADD p99', value: quantile(addMs, 0.99), unit: 'ms', goal: { atMost: 12 } },
    { what: 'DEL p50', value: quantile(delMs, 0.5), unit: 'ms', goal: { atMost: 8 } },
    { what: 'DEL p99', value: quantile(delMs, 0.99), unit: 'ms' },
  ];
}

function peerFigures(peer: string, theirs: readonly Times[], ours: readonly Times[]): Figure[] {
  const [addMs, delMs] = [theirs.flatMap((one) => one.addMs), theirs.flatMap((one) => one.delMs)];
  const against = estimate(ratios(ours, theirs, (one) => median(one.addMs)));
  return [
    ratio(`our ADD p50, of that of ${peer}`, against),
    { what: 'ADD p50', value: quantile(addMs, 0.5), unit: 'ms', peer },
    { what: 'ADD p99', value: quantile(addMs, 0.99), unit: 'ms', peer },
    { what: 'DEL p50', value: quantile(delMs, 0.5), unit: 'ms', peer },
    { what: 'DEL p99', value: quantile(delMs, 0.99), unit: 'ms', peer },
  ];
}

function burstFigure(ms: number, peer: string | undefined): Figure {
  const figure = { what: `${podsAtOnce} pods at once`, value: ms / 1000, unit: 's' } as const;
  return peer === undefined ? { ...figure, goal: { atMost: 1.5 } } : { ...figure, peer };
}
