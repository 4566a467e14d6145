import assert from 'node:assert/strict';
import type { ObjectSpec } from '@sluice/bpf';
import { FrameWay } from '@sluice/datapath';
import { dropsOf } from '../../packages/datapath/test/node.ts';
import { type FrameLoad, type FramePath, forwardedObject, frameLoad } from '../environment/live-frames.ts';
import { type BenchNetwork, benchNetwork } from '../environment/network.ts';
import { type SampleNetwork, sampleNetwork } from '../environment/sample-network.ts';
import { inTurn, ratios } from '../pairs.ts';
import { bouncing, forwardingBare, forwardingByRules } from '../peers/forwarding-node.ts';
import { proxyModes } from '../peers/proxied-path.ts';
import { type Figure, type Goal, type Row, ratio } from '../row.ts';
import { estimate, median } from '../statistics.ts';

const rounds = 11;
const flows = 64;
/** To know how many fill the time of a round. */
const firstCount = 50_000;
/** Of the rate that a contender reaches: there nothing may be lost. */
const share = 0.9;

export const forwarded: Row = {
  name: 'forwarded',
  sentence:
    'Packets a second of 64 connections from a client outside through a node to a backend behind it, by one CPU that makes them as well',
  goal: 'at XDP >= 0.75 of a bare XDP_TX, >= 5 of iptables’ DNAT, >= 2 of ours at TC; no loss at 90 % of the rate',
  async run({ quick, progress }) {
    using stack = new DisposableStack();
    progress('connecting');
    const contenders = contendersOf(stack.use(benchNetwork()), stack);
    progress('measuring');
    const first = await inTurn(
      1,
      contenders.map(
        ({ load }) =>
          () =>
            load.rate(firstCount),
      ),
    );
    const seconds = quick ? 0.1 : 0.3;
    const countOf = (index: number, from: readonly (readonly number[])[]) => seconds * median(from[index] ?? []);
    const rates = await inTurn(
      quick ? 3 : rounds,
      contenders.map(
        ({ load }, index) =>
          () =>
            load.rate(countOf(index, first)),
      ),
    );
    progress(`at ${100 * share} % of the rate`);
    const losses: number[] = [];
    for (const [index, { load }] of contenders.entries()) {
      const count = 5 * countOf(index, rates);
      losses.push((1000 * (await load.lost(share * median(rates[index] ?? []), count))) / count);
    }
    for (const { verify } of contenders) verify?.();
    return {
      figures: figuresOf(contenders, rates, losses),
      notes: [
        'Live frames (BPF_F_TEST_XDP_LIVE_FRAMES) out of a veth, 64 a call; making them, the node and the end are all on one CPU: what is compared is cost, not what a network card would reach.',
        'Ours puts each packet into a VXLAN tunnel with the node’s source; the peers change addresses, or nothing at all, and have no tunnel.',
        'Frames end at XDP where they come as frames, at TC where they come as socket buffers: each where it costs least.',
      ],
    };
  },
};

interface Contender {
  readonly name: string;
  readonly isPeer: boolean;
  /** Of our rate at XDP, divided by its own. */
  readonly goal?: Goal;
  readonly load: FrameLoad;
  /** That its packets have gone the way that it is named for. */
  readonly verify?: () => void;
}

function contendersOf(network: BenchNetwork, stack: DisposableStack): Contender[] {
  const spec = forwardedObject();
  const ours = [ownContender(spec, stack, 'xdp'), ownContender(spec, stack, 'tc')] as const;
  const { length } = ours[0];
  const peer = (name: string, path: FramePath, rest: Pick<Contender, 'goal' | 'verify'> = {}): Contender => ({
    ...{ name, isPeer: true, load: stack.use(frameLoad(spec, path)) },
    ...rest,
  });
  return [
    ...ours,
    peer('XDP_TX and nothing else', bouncing({ network, spec, stack, length }), { goal: { atLeast: 0.75 } }),
    peer('XDP_REDIRECT and nothing else', forwardingBare({ network, spec, stack, length })),
    ...proxyModes.map((mode) => {
      const path = forwardingByRules({ network, mode, length });
      const verify = () => assert.ok(path.tracked() >= flows, `${mode.name}: conntrack has not seen the connections`);
      return peer(`kube-proxy ${mode.name}`, path, { goal: { atLeast: 5 }, verify });
    }),
  ];
}

function ownContender(spec: ObjectSpec, stack: DisposableStack, hook: 'xdp' | 'tc'): Contender & { length: number } {
  const network = stack.use(sampleNetwork());
  const { node, other, world } = network;
  const frames = Array.from({ length: flows }, (_, index) => requestOf(network, 9_000 + index));
  if (hook === 'tc') for (const device of [world.device, 'lan0']) node.run(() => node.datapath.detachXdp(device));
  const load = stack.use(
    frameLoad(spec, {
      from: { netns: world.namespace.path, device: 'wan' },
      frames,
      end: { netns: other.namespace.path, device: 'lan0', hook },
    }),
  );
  const drops = dropsOf(node);
  const verify = () => {
    assert.deepEqual(dropsOf(node), drops, 'packets were dropped');
    if (hook === 'tc') return;
    const served = network.xdp.count(FrameWay.Tunnel);
    assert.ok(served > 0.99 * load.arrived(), `XDP has sent ${served} of ${load.arrived()} packets`);
  };
  const own = { name: hook === 'xdp' ? 'Sluice at XDP' : 'Sluice at TC', isPeer: false, load, verify };
  return { ...own, length: frames[0]?.length ?? 0, ...(hook === 'tc' && { goal: { atLeast: 2 } }) };
}

function requestOf(network: SampleNetwork, targetPort: number): Uint8Array {
  const { world, pods } = network;
  const family = 'ipv4';
  const port = network.nodePort(pods.far, family, { targetPort });
  const target = { address: world.nodeAddresses[family], port };
  const server = { server: pods.far, serverAddress: pods.far.addresses[family], serverPort: targetPort };
  return network.connection({ client: world, ...server, target, family }).request('wan');
}

function figuresOf(
  contenders: readonly Contender[],
  rates: readonly (readonly number[])[],
  losses: readonly number[],
): Figure[] {
  const [ours = []] = rates;
  const whoseOf = ({ name, isPeer }: Contender) => isPeer && { peer: name };
  const titled = ({ name, isPeer }: Contender, what: string) => (isPeer ? what : `${name}: ${what}`);
  return [
    ...contenders.slice(1).map((contender, index) =>
      ratio(
        `our rate at XDP, of that of ${contender.name}`,
        estimate(ratios(ours, rates[index + 1] ?? [], (one) => one)),
        {
          ...(contender.goal && { goal: contender.goal }),
        },
      ),
    ),
    ...contenders.map((contender, index): Figure => {
      const value = median(rates[index] ?? []);
      return { what: titled(contender, 'packets'), value, unit: '/s', ...whoseOf(contender) };
    }),
    ...contenders.map((contender, index): Figure => {
      const goal = contender.isPeer ? {} : { goal: { atMost: 0 } };
      const what = titled(contender, 'lost of a thousand at 90 % of its rate');
      return { what, value: losses[index] ?? Number.NaN, unit: '', ...whoseOf(contender), ...goal };
    }),
  ];
}
