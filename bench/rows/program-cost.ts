import assert from 'node:assert/strict';
import { Program } from '@sluice/bpf';
import { FrameWay } from '@sluice/datapath';
import { pathsOn } from '../../packages/datapath/src/paths.ts';
import { dropsOf } from '../../packages/datapath/test/node.ts';
import { type ProgramSample, type ProgramSamples, programSamples } from '../environment/program-samples.ts';
import { costObject, type Runs, type TestRuns, testRuns } from '../environment/test-runs.ts';
import { inTurn } from '../pairs.ts';
import { toyBalancer } from '../peers/toy-balancer.ts';
import type { Figure, Goal, Row } from '../row.ts';

const around = { services: 10_000, backendsPerService: 10, endpoints: 10_000 };
const quickAround = { services: 200, backendsPerService: 2, endpoints: 200 };
const goals = { tc: 120, xdp: 130, timesToy: 1.6 };
const toyConnections = 30_000;
/** A part of a second: DSR tells the backend's node once in each. */
const repeat = 20_000;

export const programCost: Row = {
  name: 'program-cost',
  sentence:
    'Our programs on one packet, BPF_PROG_TEST_RUN: established connections among 10,000 services and 10,000 endpoints, beside programs that do nothing and a toy load balancer',
  goal: `at TC <= ${goals.tc} ns, at XDP <= ${goals.xdp} ns and <= ${goals.timesToy} of the toy`,
  async run({ quick, long, progress }) {
    progress('filling the maps');
    using stack = new DisposableStack();
    const all = stack.use(await programSamples(quick ? quickAround : around));
    const contenders = contendersOf(all, stack);
    const rounds = quick ? 5 : long ? 350 : 30;
    progress('measuring');
    const drops = dropsOf(all.network.node);
    const results = await inTurn(
      rounds,
      contenders.map(
        ({ measure }) =>
          () =>
            Promise.resolve(measure(repeat)),
      ),
    );
    assert.deepEqual(dropsOf(all.network.node), drops, 'packets were dropped');
    return {
      figures: figuresOf(contenders, results),
      notes: [
        `The least of ${rounds} times ${repeat} runs: one packet again and again, with everything in the nearest cache and the branches known. In traffic it is more, see overlay-profile.`,
        'What puts the packet back before each run is taken off, and the floor of an empty program is not.',
        'In them: source check, connection tracking, services, identities, counters and events of changes. Network policy: this version has none.',
        'The toy has no way back, no tunnel, no age and no count; it writes an address and two checksums, ours a tunnel’s headers as well.',
      ],
    };
  },
};

interface Contender {
  readonly what: string;
  readonly peer?: string;
  readonly goal?: Goal;
  /** To be compared with the toy. */
  readonly isLikeToy?: boolean;
  measure(repeat: number): number;
}

const toyName = 'toy load balancer';
const XDP_TX = 3;

function contendersOf(all: ProgramSamples, stack: DisposableStack): Contender[] {
  const spec = costObject();
  const { node } = all.network;
  const sampleOf = (hook: string) =>
    all.samples.find((sample) => sample.hook === hook) ?? assert.fail(`none at ${hook}`);
  const [packet, frame] = [sampleOf('tc'), sampleOf('xdp')];
  const [packets, frames] = [packet, frame].map((sample) => stack.use(testRuns(spec, sample)));
  if (!packets || !frames) throw new Error('no runs');
  const toy = stack.use(toyBalancer({ services: around.services, connections: toyConnections, frame: frame.bytes }));
  const alone = (runs: TestRuns, program: Program) => (repeat: number) =>
    node.run(() => runs.runAlone(program, repeat).ns);
  return [
    { what: 'XDP: a program that lets pass', peer: 'floor', measure: alone(frames, frames.nothing) },
    { what: 'TC: a program that lets pass', peer: 'floor', measure: alone(packets, packets.nothing) },
    {
      what: `XDP: ${frame.name}`,
      peer: toyName,
      measure: (repeat) => node.run(() => nsOfToy(frames.run(toy.program, repeat))),
    },
    ...all.samples.map((sample) => ownContender(all, sample, stack)),
  ];
}

function nsOfToy({ ns, action }: Runs): number {
  assert.equal(action, XDP_TX, 'the toy does not return the frame');
  return ns;
}

function ownContender(all: ProgramSamples, sample: ProgramSample, stack: DisposableStack): Contender {
  const { node } = all.network;
  const runs = stack.use(testRuns(costObject(), sample));
  const program = stack.use(openProgram(node.bpffs, sample.program));
  const isXdp = sample.hook === 'xdp';
  return {
    what: `${isXdp ? 'XDP' : 'TC'}: ${sample.name}`,
    goal: { atMost: isXdp ? goals.xdp : goals.tc },
    isLikeToy: isXdp && sample.name.endsWith('IPv4'),
    measure: (repeat) => served(all, sample, repeat, () => node.run(() => runs.run(program, repeat))),
  };
}

const attempts = 20;

/** The action of the last run, and of XDP its counters, say whether each run did what is measured. */
function served(
  all: ProgramSamples,
  { name, hook, action }: ProgramSample,
  repeat: number,
  measure: () => Runs,
): number {
  const isSent = hook === 'xdp' && action !== XDP_PASS;
  for (let attempt = 1; ; attempt += 1) {
    all.tell();
    const before = framesSent(all);
    const { ns, action: done } = measure();
    // Some take the stack's way, so that the kernel looks after the next hop.
    if (done === action && (!isSent || framesSent(all) - before >= 0.99 * repeat)) return ns;
    // The second in which DSR's backend was told may have ended.
    if (!isSent || attempt === attempts)
      throw new Error(`${name}: the program returns ${done}, not ${action} each time`);
  }
}

const XDP_PASS = 2;

function framesSent({ network: { xdp } }: ProgramSamples): number {
  return xdp.count(FrameWay.Tunnel) + xdp.count(FrameWay.World);
}

function openProgram(bpffs: string, name: string): Program {
  const paths = pathsOn(bpffs);
  const [set] = paths.programSets();
  if (set === undefined) throw new Error(`no programs are pinned below ${bpffs}`);
  return Program.openPinned(paths.program(set, name), name);
}

function figuresOf(contenders: readonly Contender[], results: readonly (readonly number[])[]): Figure[] {
  const least = results.map((ns) => Math.min(...ns));
  const toy = least[contenders.findIndex(({ peer }) => peer === toyName)] ?? Number.NaN;
  return contenders.flatMap(({ what, peer, goal, isLikeToy }, index): Figure[] => {
    const ns = least[index] ?? Number.NaN;
    const figure: Figure = { what, value: ns, unit: 'ns', ...(peer && { peer }), ...(goal && { goal }) };
    if (!isLikeToy) return [figure];
    return [figure, { what: `${what}, of the toy’s`, value: ns / toy, unit: 'x', goal: { atMost: goals.timesToy } }];
  });
}
