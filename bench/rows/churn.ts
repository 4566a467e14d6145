import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { type BenchCluster, benchCluster, measuredService } from '../environment/cluster.ts';
import type { BenchPod } from '../environment/cni.ts';
import { type CrowdWindow, failureNotes, startCrowd, total } from '../environment/crowd.ts';
import { untilServedBy } from '../environment/full-maps.ts';
import { ip } from '../environment/inside.ts';
import { untilAnyAnswers } from '../environment/load.ts';
import { exposeService, putService } from '../environment/services.ts';
import { interrupted } from '../interruption.ts';
import type { Outcome, Row } from '../row.ts';

/** Each is a token. */
const backendNames = [...'abcdefghij'];
/** Two more have none: the address moves to them. */
const nodesWithPods = 3;
const flows = 2_000;
/** New connections of each crowd. */
const rate = 200;
const flowIntervalUs = 500_000;
const nodePort = 30_080;
const balanced = {
  name: 'balanced',
  address: '10.111.0.81',
  port: 80,
  balancerAddress: '192.0.2.80',
  annotations: { 'service.cilium.io/forwarding-mode': 'dsr', 'service.cilium.io/lb-algorithm': 'maglev' },
};
/** Each flow has asked, and who got no answer has given up. */
const allAskedMs = 3_500;
/** Of each change: new connections see it, and flows ask on. */
const changedMs = 300;

interface Backend {
  readonly token: string;
  readonly pod: BenchPod;
}

export const churn: Row = {
  name: 'churn',
  sentence: `One of ${backendNames.length} backends taken away under ${flows} TCP flows, from a pod and from outside; and a balancer's address that moves to another node, which knows none of its connections`,
  goal: 'no flow of another backend breaks; by the move none, and after the loss of a backend as well <= 1 %',
  async run({ quick, progress }) {
    await using cluster = await benchCluster({ services: 200, nodes: nodesWithPods + 2 });
    const backends = await startBackends(cluster);
    progress('backends come and go');
    const taken = await takenAway(cluster, backends, quick ? 3 : 30);
    progress('the address moves');
    const moved = await addressMoves(cluster, backends);
    return {
      figures: [...taken.figures, ...moved.figures],
      notes: [
        ...taken.notes,
        ...moved.notes,
        `A crowd of ${flows / 2} flows by the ClusterIP from a pod, and one by the NodePort of a node from outside, whose backends are on three nodes (SNAT). Each flow asks every ${flowIntervalUs / 1000} ms, each answer must be the question byte by byte; ${rate} new connections a second of each crowd.`,
        'The address that moves is a load balancer’s, with DSR and Maglev; the client’s route is what moves it, each time to a node that has no pod and has seen none of the flows. The paper’s algorithm with 10 backends moves 0.6 % of the entries of others where one is lost.',
        'With SNAT no other node could go on: the connection to the backend is from the address of the node that is gone.',
      ],
    };
  },
};

async function startBackends(cluster: BenchCluster): Promise<Backend[]> {
  const backends: Backend[] = [];
  for (const [index, token] of backendNames.entries()) {
    const node = cluster.nodes[index % nodesWithPods];
    assert.ok(node);
    backends.push({ token, pod: (await cluster.serveMany(node, token)).pod });
  }
  return backends;
}

/** Each in its turn, the last one with its pod. */
async function takenAway(
  cluster: BenchCluster,
  backends: readonly Backend[],
  rounds: number,
): Promise<Required<Outcome>> {
  const [node] = cluster.nodes;
  assert.ok(node);
  await putService(cluster.api, { name: 'measured', ...measuredService, nodePort });
  await cluster.expose(...backends.map(({ pod }) => pod));
  const client = await node.pod('client');
  const outside = { netns: cluster.outside.netns };
  const byNodePort = { address: node.address, port: nodePort };
  await untilAnyAnswers(client, measuredService);
  await untilAnyAnswers(outside, byNodePort);
  await using stack = new AsyncDisposableStack();
  const half = { kept: flows / 2, rate, intervalUs: flowIntervalUs };
  const crowds = [
    stack.use(await startCrowd(client, measuredService, half)),
    stack.use(await startCrowd(outside, byNodePort, half)),
  ];
  const windows: CrowdWindow[] = [];
  let toGone = 0;
  const frontends = [measuredService, { address: '0.0.0.0', port: nodePort }];
  /** In the kernel as well when it returns. */
  const lead = async (to: readonly Backend[]) => {
    const pods = to.map(({ pod }) => pod);
    await cluster.expose(...pods);
    await untilServedBy(
      node.bpffs,
      frontends,
      pods.map(({ address }) => address),
    );
  };
  const lookAt = async (gone: string, ms: number) => {
    await delay(ms, undefined, { signal: interrupted });
    const seen = await Promise.all(crowds.map((crowd) => crowd.look()));
    for (const { answers } of seen) toGone += answers[gone] ?? 0;
    windows.push(...seen);
  };
  for (let round = 0; round < rounds; round += 1) {
    const gone = backends[round % backends.length];
    assert.ok(gone);
    await lead(backends.filter((backend) => backend !== gone));
    await lookAt('', 0);
    await lookAt(gone.token, changedMs);
    await lead(backends);
  }
  await lookAt('', allAskedMs);
  const last = backends.at(-1);
  assert.ok(last);
  await lead(backends.slice(0, -1));
  await lookAt('', 0);
  await last.pod[Symbol.asyncDispose]();
  await lookAt(last.token, allAskedMs);
  const lostOf = (isLast: boolean) =>
    windows.reduce((sum, { lost }) => sum + total(only(lost, (token) => (token === last.token) === isLast)), 0);
  const kept = windows.slice(-2).reduce((sum, window) => sum + total(window.kept), 0);
  assert.ok(lostOf(true) > 0, 'a backend has gone, and none of its flows has noticed');
  assert.equal(kept + lostOf(true) + lostOf(false), flows, 'flows are kept or lost');
  const goal = { atMost: 0 };
  const begun = windows.reduce((sum, window) => sum + window.begun, 0);
  return {
    figures: [
      { what: `flows to others that broke, in ${rounds + 1} changes`, value: lostOf(false), unit: '', goal },
      { what: `of ${begun} new connections: those that failed`, value: failedNew(windows), unit: '', goal },
      { what: 'and those led to a backend that was taken away', value: toGone, unit: '', goal },
      { what: 'flows of the backend whose pod went, all of which noticed', value: lostOf(true), unit: '' },
    ],
    notes: [
      ...failureNotes('Backends come and go', windows.slice(0, -2)),
      ...failureNotes('A pod goes', windows.slice(-2)),
    ],
  };
}

async function addressMoves(cluster: BenchCluster, backends: readonly Backend[]): Promise<Required<Outcome>> {
  const { api, nodes } = cluster;
  const outside = { netns: cluster.outside.netns };
  const { balancerAddress: address, port } = balanced;
  const frontends = [{ address, port }];
  /** On every node when it returns. */
  const lead = async (to: readonly Backend[]) => {
    const pods = to.map(({ pod }) => pod);
    await exposeService(api, balanced.name, pods);
    const addresses = pods.map((pod) => pod.address);
    await Promise.all(nodes.map(({ bpffs }) => untilServedBy(bpffs, frontends, addresses)));
  };
  const move = (node: number) => ip(outside.netns, `route replace ${address} via ${nodes[node]?.address}`);
  const present = backends.slice(0, -1);
  const [gone, ...left] = present;
  assert.ok(gone);
  await putService(api, balanced);
  await lead(present);
  move(0);
  await untilAnyAnswers(outside, { address, port });
  await using crowd = await startCrowd(outside, { address, port }, { kept: flows, intervalUs: flowIntervalUs });
  const asked = async () => {
    await delay(allAskedMs, undefined, { signal: interrupted });
    return crowd.look();
  };
  await asked();
  move(nodesWithPods);
  const moved = await asked();
  const others = (counts: CrowdWindow['kept']) => total(only(counts, (token) => token !== gone.token));
  await lead(left);
  move(nodesWithPods + 1);
  const again = await asked();
  return {
    figures: [
      {
        what: `the address moves: of ${flows} flows broken`,
        value: total(moved.lost),
        unit: '',
        goal: { atMost: 0 },
      },
      {
        what: `one backend of ${present.length} is lost, then it moves: of ${others(moved.kept)} flows to others broken`,
        value: (100 * others(again.lost)) / others(moved.kept),
        unit: '%',
        goal: { atMost: 1 },
      },
    ],
    notes: [...failureNotes('The address moves', [moved]), ...failureNotes('It moves after a loss', [again])],
  };
}

function failedNew(windows: readonly CrowdWindow[]): number {
  return windows.reduce((sum, window) => sum + total(window.failedNew), 0);
}

function only(counts: Readonly<Record<string, number>>, isMeant: (token: string) => boolean): Record<string, number> {
  return Object.fromEntries(Object.entries(counts).filter(([token]) => isMeant(token)));
}
