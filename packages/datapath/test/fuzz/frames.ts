/**
 * Random and mutated frames for the program of XDP, between real devices and beside real connections. What must hold: it
 * drops none; what passes is as it came and counted nowhere; what it sends is counted once, and sound if it was so before.
 */
import { parsePacket } from '@sluice/net';
import { Direction, DropReason } from '../../src/index.ts';
import { type AcceleratedPair, createAcceleratedPair, type Sample } from '../accelerated-pair.ts';
import { TCP, UDP } from '../services.ts';
import { type Runner, XdpAction } from '../xdp.ts';
import { FuzzFailure } from './fuzz.ts';
import { type Draft, draw } from './mutate.ts';
import { type Random, seededRandom } from './random.ts';
import { ROOM_BYTES } from './run.ts';
import { plainAnswer, plainRequest } from './samples.ts';
import { flaw, repairChecksums } from './soundness.ts';

export const fuzzedFrameProgram = 'xdp_from_network';

export interface FrameFuzzOptions {
  readonly packets: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
}

export interface FrameFuzzReport {
  readonly packets: number;
  readonly seconds: number;
  readonly sent: number;
  /** Of those that were sent, how many were sound before and are held against that. */
  readonly compared: number;
}

const PROGRESS_EVERY = 4096;
/** One in so many has its checksums made right again, or hardly a mutated one would be sound. */
const REPAIRED_EVERY = 2;

export function fuzzFrames(options: FrameFuzzOptions): FrameFuzzReport {
  using stack = new DisposableStack();
  const pair = stack.use(createAcceleratedPair());
  const samples = (['ipv4', 'ipv6'] as const).flatMap((family) =>
    [TCP, UDP].map((protocol) => stack.use(pair.connection(family, protocol))),
  );
  pair.xdp.set(true);
  return pair.xdp.running((runner) => new FrameFuzzer(pair, { samples, runner, options }).run());
}

interface Surroundings {
  readonly samples: readonly Sample[];
  readonly runner: Runner;
  readonly options: FrameFuzzOptions;
}

class FrameFuzzer {
  readonly #pair: AcceleratedPair;
  readonly #surroundings: Surroundings;
  readonly #random: Random;
  readonly #draft: Draft = { bytes: new Uint8Array(ROOM_BYTES), length: 0 };
  readonly #counts = { sent: 0, compared: 0 };

  constructor(pair: AcceleratedPair, surroundings: Surroundings) {
    this.#pair = pair;
    this.#surroundings = surroundings;
    this.#random = seededRandom(surroundings.options.seed);
  }

  run(): FrameFuzzReport {
    const { samples, options } = this.#surroundings;
    const started = performance.now();
    const ways = [
      { device: this.#pair.world.device, frames: samples.map(({ request }) => plainRequest(request)) },
      { device: 'lan0', frames: samples.map(({ answer }) => plainAnswer(answer)) },
    ];
    let before = this.#forwarded();
    for (let index = 0; index < options.packets; index += 1) {
      const { device, frames } = this.#random.pick(ways);
      draw(this.#draft, frames, this.#random);
      if (this.#random.oneIn(REPAIRED_EVERY)) repairChecksums(this.#draft);
      const frame = this.#draft.bytes.slice(0, this.#draft.length);
      const problem = this.#shoot(device, frame);
      if (problem !== undefined)
        throw new FuzzFailure(`${problem}, at ${device}`, {
          ...{ program: fuzzedFrameProgram, seed: options.seed, index, packet: hex(frame) },
          surroundings: { mark: 0, priority: 0, gsoSize: 0, gsoSegments: 0 },
        });
      if (index % PROGRESS_EVERY === PROGRESS_EVERY - 1) {
        before = this.#settle(before);
        options.onProgress?.(index + 1);
      }
    }
    this.#settle(before);
    return { packets: options.packets, seconds: (performance.now() - started) / 1000, ...this.#counts };
  }

  /** What is wrong; undefined: nothing. */
  #shoot(device: string, frame: Uint8Array): string | undefined {
    const { action, frame: behind } = this.#surroundings.runner(device, frame);
    if (action === XdpAction.pass)
      return Buffer.compare(frame, behind) === 0 ? undefined : `what passes was changed to ${hex(behind)}`;
    if (action !== XdpAction.send && action !== XdpAction.redirect) return `returned ${action}`;
    this.#counts.sent += 1;
    if (flawInside(frame) !== undefined) return undefined;
    this.#counts.compared += 1;
    const problem = flawInside(behind);
    return problem === undefined ? undefined : `made ${hex(behind)} of it: ${problem}`;
  }

  #sentSince = 0;

  /** Each one that was sent, and none that passed, is among the forwarded. */
  #settle(before: number): number {
    const now = this.#forwarded();
    const sent = this.#counts.sent - this.#sentSince;
    this.#sentSince = this.#counts.sent;
    if (now - before !== sent) throw new Error(`${sent} frames were sent, and ${now - before} are counted`);
    return now;
  }

  #forwarded(): number {
    const key = { reason: DropReason.Forwarded, direction: Direction.Ingress };
    const perCpu = this.#pair.one.datapath.maps.counters.lookup(key) ?? [];
    return perCpu.reduce((sum, { packets }) => sum + Number(packets), 0);
  }
}

/** Of the packet, and of the one that a tunnel's carries. */
function flawInside(frame: Uint8Array): string | undefined {
  const { vxlan } = parsePacket(frame);
  const outer = flaw(frame);
  if (outer !== undefined || vxlan === undefined) return outer;
  const { ipv4, tcp, udp, problem } = vxlan.inner;
  if (problem !== undefined) return `inside: ${problem.text}`;
  const wrong = Object.entries({ ipv4, tcp, udp }).find(([, layer]) => layer?.checksumValid === false);
  return wrong === undefined ? undefined : `inside: wrong checksum of ${wrong[0]}`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
