import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import { connectedSocketsMap } from '@sluice/datapath';
import { type BenchCluster, type BenchNode, benchCluster, measuredService } from '../environment/cluster.ts';
import type { BenchPod } from '../environment/cni.ts';
import { runInsideSync } from '../environment/inside.ts';
import { serverPort, untilAnswered } from '../environment/load.ts';
import { exposeService, putService } from '../environment/services.ts';
import {
  churnSockets,
  keptCookies,
  type LiveSockets,
  liveSockets,
  livingCookies,
  slabBytes,
  type TwoServices,
} from '../environment/sockets.ts';
import { interrupted } from '../interruption.ts';
import type { Row } from '../row.ts';
import { median } from '../statistics.ts';

const other = { name: 'other', address: '10.111.0.81', port: measuredService.port };
const services: TwoServices = {
  address: measuredService.address,
  other: other.address,
  port: measuredService.port,
};
/** A process may have 20,000 descriptors where nobody allows it more. */
const sizes = {
  quick: { count: 5_000, livePods: 2, eachPod: 2_000 },
  daily: { count: 100_000, livePods: 4, eachPod: 10_000 },
  long: { count: 1_000_000, livePods: 12, eachPod: 16_700 },
} as const;
const { valueSize, maxEntries } = connectedSocketsMap;
const goneTimeoutMs = 10_000;

export const liveSocketsRow: Row = {
  name: 'live-sockets',
  sentence:
    'What our hooks keep for sockets, beside the sockets that there are, after others were closed, aborted, connected anew and killed by the hundred thousand',
  goal: 'nothing of a socket that is gone; every live one knows its peer (1,000,000 and 200,000 in the long form); <= 64 bytes a socket',
  async run({ quick, long, progress }) {
    const { count, livePods, eachPod } = sizes[long ? 'long' : quick ? 'quick' : 'daily'];
    await using cluster = await benchCluster({ services: 200 });
    const [node] = cluster.nodes;
    assert.ok(node);
    const direct = await twoServices(cluster, node);
    const pods = await Promise.all(Array.from({ length: livePods }, (_, index) => node.pod(`live${index}`)));
    const churning = await node.pod('churn');
    await untilAnswered(churning, measuredService);
    await untilAnswered(churning, { ...measuredService, address: other.address, token: 'b' });
    // Connections of one client that it closes itself leave their ports behind for a minute.
    runInsideSync(churning, ['sh', '-c', 'echo 1 > /proc/sys/net/ipv4/tcp_tw_reuse'], '');

    progress('measuring what a socket takes');
    const bytes = await bytesOfSocket(pods, direct, eachPod, quick ? 1 : 3);
    progress(`${livePods * eachPod} sockets connect`);
    await using live = new AsyncDisposableStack();
    const holders = await connectAll(live, pods, services, eachPod);
    progress(`${count} others come and go`);
    const ways = await churnSockets(churning, services, { count, seed: 1 });
    progress('comparing');
    const places = [...pods, churning];
    const { stale, missing } = await compare(node, places, holders);
    const wrong = (await Promise.all(holders.map((holder) => holder.wrong()))).reduce((sum, one) => sum + one, 0);
    await live.disposeAsync();
    const left = await leftOver(node);
    return {
      figures: [
        { what: `entries of no living socket, after ${count} others`, value: stale, unit: '', goal: { atMost: 0 } },
        { what: 'entries when all sockets are gone', value: left, unit: '', goal: { atMost: 0 } },
        {
          what: `of ${livePods * eachPod} live sockets: those without an entry`,
          value: missing,
          unit: '',
          goal: { atMost: 0 },
        },
        { what: 'and those with a wrong getpeername()', value: wrong, unit: '', goal: { atMost: 0 } },
        {
          what: `kernel memory of a connected socket, of ${livePods * eachPod}`,
          value: bytes,
          unit: 'bytes',
          goal: { atMost: 64 },
        },
        { what: `of one of the ${maxEntries} that have a place`, value: valueSize, unit: 'bytes' },
      ],
      notes: [
        `Ways: ${waysText(ways)}; each process that was killed had 64 sockets.`,
        'Entries are those of all three maps, walked by iterators; sockets are those that `ss` shows, by their cookies. One in eight of the live ones is TCP, the others are UDP.',
        'Memory is the difference in slabs between as many sockets that are connected to the service and to its pods, and the table of places, which is there from the start. A socket whose place another one has gets a storage of its own: 48 bytes, and what the kernel puts around them (the element’s list heads, and a table of 16 for each socket that has any storage).',
      ],
    };
  },
};

/** The measured one leads to pod a, the other to pod b; gives how to reach the pods without a service. */
async function twoServices(cluster: BenchCluster, node: BenchNode): Promise<TwoServices> {
  const [a, b] = [await cluster.serveMany(node, 'a'), await cluster.serveMany(node, 'b')];
  await cluster.expose(a.pod);
  await putService(cluster.api, other);
  await exposeService(cluster.api, other.name, [b.pod]);
  return { address: a.pod.address, other: b.pod.address, port: serverPort };
}

function connectAll(
  stack: AsyncDisposableStack,
  pods: readonly BenchPod[],
  target: TwoServices,
  count: number,
): Promise<LiveSockets[]> {
  return Promise.all(pods.map(async (pod) => stack.use(await liveSockets(pod, target, count))));
}

/** By the services, less what the same sockets take without them. */
async function bytesOfSocket(
  pods: readonly BenchPod[],
  direct: TwoServices,
  count: number,
  rounds: number,
): Promise<number> {
  const differences: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const grown: number[] = [];
    for (const target of [services, direct]) {
      interrupted.throwIfAborted();
      await using stack = new AsyncDisposableStack();
      // What was freed before must be back.
      await delay(500);
      const before = slabBytes();
      await connectAll(stack, pods, target, count);
      grown.push(slabBytes() - before);
    }
    const [translated = 0, plain = 0] = grown;
    differences.push((translated - plain + valueSize * maxEntries) / (pods.length * count));
  }
  return median(differences);
}

async function compare(node: BenchNode, places: readonly BenchPod[], holders: readonly LiveSockets[]) {
  const kept = keptCookies(node.bpffs);
  const living = new Set<bigint>();
  for (const { netns } of places) for (const cookie of await livingCookies(netns)) living.add(cookie);
  const ofLiving = new Set(kept.filter((cookie) => living.has(cookie)));
  const wanted = holders.reduce((sum, { count }) => sum + count, 0);
  return { stale: kept.filter((cookie) => !living.has(cookie)).length, missing: Math.max(0, wanted - ofLiving.size) };
}

/** Connections that were closed a moment ago are still ending. */
async function leftOver({ bpffs }: BenchNode): Promise<number> {
  for (const end = performance.now() + goneTimeoutMs; ; await delay(200)) {
    const { length } = keptCookies(bpffs);
    if (length === 0 || performance.now() > end) return length;
  }
}

function waysText(ways: Readonly<Record<string, number>>): string {
  return Object.entries(ways)
    .map(([way, times]) => `${times} ${way}`)
    .join(', ');
}
