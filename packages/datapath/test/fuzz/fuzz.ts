/**
 * Random and mutated packets for one program, the same ones for the same seed. What must hold for each of them: the
 * program returns what an entry may return, and exactly one counter has moved, so that no drop is without a reason; a
 * packet that was sound before is sound behind it.
 */
import { type Program, ProgramType } from '@sluice/bpf';
import { installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { DropReason, dropReasonNames, isDrop } from '../../src/index.ts';
import { hookObjects, readObject } from '../../src/objects.ts';
import { type Bench, createBench } from '../programs.ts';
import { answers, begin } from './answers.ts';
import { corpus, writeCorpusRows } from './corpus.ts';
import { type Draft, draw, isFragment } from './mutate.ts';
import { type Random, seededRandom } from './random.ts';
import { ROOM_BYTES, type Surroundings, TestRunner } from './run.ts';
import { flaw, repairChecksums } from './soundness.ts';
import { programBehindTunnel } from './tunnel.ts';

export interface FuzzOptions {
  readonly program: string;
  readonly packets: number;
  readonly seed: number;
  readonly onProgress?: (done: number) => void;
  readonly signal?: AbortSignal;
  /** Runs in the place of the program: to see that the fuzzer finds what is wrong. */
  readonly instead?: Program;
}

export interface FuzzReport {
  readonly packets: number;
  readonly seconds: number;
  /** By the program's return value. */
  readonly actions: Readonly<Record<string, number>>;
  /** By the counter that moved. */
  readonly reasons: Readonly<Record<string, number>>;
  /** Fragments that were held until their first comes, or sent again with it. */
  readonly taken: number;
  /** Left alone, and so not counted. */
  readonly passed: number;
  /** How many were held against what they were before, and how many of those a program had changed. */
  readonly compared: number;
  readonly changed: number;
  /** Not run: the kernel makes no packet of them. */
  readonly refused: number;
}

/** A packet that does not keep to the rules, with what it takes to send it again. */
export class FuzzFailure extends Error {
  readonly details: {
    readonly program: string;
    readonly seed: number;
    readonly index: number;
    readonly packet: string;
    readonly surroundings: Surroundings;
  };

  constructor(problem: string, details: FuzzFailure['details']) {
    const { program, seed, index, packet } = details;
    super(`${program}: ${problem}; seed ${seed}, packet ${index}: ${packet}`);
    this.details = details;
  }
}

const actionNames = new Map([
  [0, 'ok'],
  [2, 'drop'],
  [7, 'redirect'],
]);
const SHOT = 2;
/** TC_ACT_UNSPEC, of programs that let what is not theirs go on as it came: nothing is counted then. */
const PASSED = 0xffff_ffff;
/** Counters are read after so many packets; a difference is then looked for one by one. */
const BATCH = 4096;
/** Connections of UDP are forgotten after a minute: they are begun anew after so many packets. */
const BEGUN_EVERY = 64 * BATCH;
/** One packet in so many is compared with what the program made of it. */
const COMPARED_EVERY = 32;

/** Names of the programs that packets can be given to. */
export function fuzzedPrograms(): string[] {
  return hookObjects.flatMap((object) =>
    readObject(`${installationRoot()}/bpf/build`, object).programs.flatMap(({ name, type }) =>
      type === ProgramType.schedCls ? [name] : [],
    ),
  );
}

/** In a network namespace of its own: what programs send again (fragments) must reach nobody. */
export function fuzz(options: FuzzOptions): FuzzReport {
  using namespace = temporaryNetworkNamespace();
  return namespace.run(() => fuzzHere(options));
}

function fuzzHere(options: FuzzOptions): FuzzReport {
  using stack = new DisposableStack();
  const bench = stack.use(createBench());
  writeCorpusRows(bench.maps);
  const program = options.instead ?? bench.program(options.program);
  const { fd } = options.program.includes('overlay') ? stack.use(programBehindTunnel(program)) : program;
  return new Fuzzer(bench, new TestRunner(fd), options).run();
}

/** The other node, in host order. */
const NODE_NUMBER = 0x0a0a1e02;
const REMOTE_IDENTITY = 2000;
const WORLD_IDENTITY = 2;

/** One packet of a batch. */
interface Shot {
  readonly bytes: Uint8Array;
  readonly surroundings: Surroundings;
  readonly isFragment: boolean;
  readonly isCompared: boolean;
  readonly index: number;
}

class Fuzzer {
  readonly #bench: Bench;
  readonly #runner: TestRunner;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #packets: readonly Uint8Array[];
  readonly #draft: Draft = { bytes: new Uint8Array(ROOM_BYTES), length: 0 };
  readonly #returned = new Map<number, number>();
  readonly #counts = { refused: 0, passed: 0, taken: 0, compared: 0, changed: 0 };

  constructor(bench: Bench, runner: TestRunner, options: FuzzOptions) {
    this.#bench = bench;
    this.#runner = runner;
    this.#options = options;
    this.#packets = [...corpus(options.program), ...answers(bench, options.program)];
    this.#random = seededRandom(options.seed);
  }

  run(): FuzzReport {
    const { packets, program, onProgress, signal } = this.#options;
    const started = performance.now();
    let done = 0;
    while (done < packets && signal?.aborted !== true) {
      if (done % BEGUN_EVERY === 0) begin(this.#bench, program, this.#packets);
      const size = Math.min(BATCH, packets - done);
      this.#batch(Array.from({ length: size }, (_, index) => this.#draw(done + index)));
      done += size;
      // The ring is read as the agent reads it: an event that cannot be decoded is a failure, too.
      this.#bench.drain();
      onProgress?.(done);
    }
    return {
      packets: done,
      seconds: (performance.now() - started) / 1000,
      actions: Object.fromEntries([...this.#returned].map(([value, count]) => [actionName(value), count])),
      reasons: reasonsOf(this.#bench),
      ...this.#counts,
    };
  }

  #draw(index: number): Shot {
    draw(this.#draft, this.#packets, this.#random);
    const isCompared = this.#random.oneIn(COMPARED_EVERY);
    if (isCompared) repairChecksums(this.#draft);
    const { bytes, length } = this.#draft;
    const surroundings = drawSurroundings(this.#random);
    return { bytes: bytes.slice(0, length), surroundings, isFragment: isFragment(this.#draft), isCompared, index };
  }

  /** Fragments for themselves: they are held, sent again with others, or push out older ones. */
  #batch(shots: readonly Shot[]): void {
    const whole = shots.filter(({ isFragment }) => !isFragment);
    const expected = this.#runAll(whole);
    if (expected.moved !== expected.counted) this.#findUncounted(whole);
    const fragments = shots.filter(({ isFragment }) => isFragment);
    const held = this.#runAll(fragments);
    // Uncounted are those that were taken; an older one that had to give way is one more.
    const taken = Math.max(0, held.counted - held.moved);
    this.#counts.taken += taken;
    if (taken > held.dropped || held.moved > 2 * held.counted) {
      throw this.#failure(
        `${held.counted} fragments moved ${held.moved} counters, ${held.dropped} were dropped`,
        shots[0],
      );
    }
  }

  /** How many moved a counter, how many should have, and how many were dropped or taken. */
  #runAll(shots: readonly Shot[]): { moved: number; counted: number; dropped: number } {
    const before = this.#total();
    let [counted, dropped] = [0, 0];
    for (const shot of shots) {
      const returned = this.#run(shot);
      if (returned !== undefined && returned !== PASSED) counted += 1;
      if (returned === SHOT) dropped += 1;
    }
    return { moved: this.#total() - before, counted, dropped };
  }

  #run(shot: Shot): number | undefined {
    this.#runner.input.set(shot.bytes);
    this.#runner.surroundings = shot.surroundings;
    const returned = shot.isCompared ? this.#compare(shot) : this.#runner.run(shot.bytes.byteLength);
    if (returned === undefined) this.#counts.refused += 1;
    else if (returned === PASSED && this.#options.program.startsWith('netdev')) this.#counts.passed += 1;
    else if (actionNames.has(returned)) this.#returned.set(returned, (this.#returned.get(returned) ?? 0) + 1);
    else throw this.#failure(`returned ${returned}`, shot);
    return returned;
  }

  #compare(shot: Shot): number | undefined {
    const { returned, packet } = this.#runner.runAndRead(shot.bytes.byteLength);
    // A fragment's checksum is over more than the fragment.
    if (returned === undefined || returned === SHOT || shot.isFragment || flaw(shot.bytes) !== undefined)
      return returned;
    this.#counts.compared += 1;
    if (Buffer.compare(packet, shot.bytes) !== 0) this.#counts.changed += 1;
    const problem = flaw(packet);
    if (problem === undefined) return returned;
    throw this.#failure(`made ${Buffer.from(packet).toString('hex')} of it: ${problem}`, shot);
  }

  /** Of the counters that each packet moves one of. */
  #total(): number {
    let total = 0;
    for (const [{ reason }, perCpu] of this.#bench.maps.counters.entries()) {
      if (!isDrop(reason) && reason !== DropReason.Forwarded) continue;
      for (const { packets } of perCpu) total += Number(packets);
    }
    return total;
  }

  /** Sends them again, one by one: what depends on the packets before may not show itself a second time. */
  #findUncounted(shots: readonly Shot[]): never {
    for (const shot of shots) {
      const { moved, counted } = this.#runAll([shot]);
      if (moved !== counted) throw this.#failure(`${moved} counters moved, not ${counted}`, shot);
    }
    throw this.#failure('counters do not add up, though each of the next packets is counted alone', shots[0]);
  }

  #failure(problem: string, shot: Shot | undefined): FuzzFailure {
    const { program, seed } = this.#options;
    const { bytes = new Uint8Array(), surroundings = noSurroundings, index = 0 } = shot ?? {};
    return new FuzzFailure(problem, { program, seed, index, packet: Buffer.from(bytes).toString('hex'), surroundings });
  }
}

const noSurroundings: Surroundings = { mark: 0, priority: 0, gsoSize: 0, gsoSegments: 0 };

/** GSO for some; for the overlay a VNI and a sender, see tunnel.bpf.c. */
function drawSurroundings(random: Random): Surroundings {
  const isGso = random.oneIn(4);
  const identity = random.oneIn(4) ? WORLD_IDENTITY : REMOTE_IDENTITY;
  return {
    mark: random.oneIn(16) ? random.pick([0, 0xffffff, 0x1000000, 0xffffffff]) : identity,
    priority: random.oneIn(16) ? random.pick([0, 0x7f000001, 0xffffffff]) : NODE_NUMBER,
    gsoSize: isGso ? random.pick([1, 8, 536, 1400, 1448, 0xffff]) : 0,
    gsoSegments: isGso ? random.pick([0, 1, 2, 44, 0xffff]) : 0,
  };
}

function reasonsOf({ maps }: Bench): Record<string, number> {
  const reasons: Record<string, number> = {};
  const names = new Map(Object.entries(dropReasonNames));
  for (const [{ reason }, perCpu] of maps.counters.entries()) {
    const name = names.get(String(reason)) ?? `reason ${reason}`;
    reasons[name] = perCpu.reduce((sum, counter) => sum + Number(counter.packets), reasons[name] ?? 0);
  }
  return reasons;
}

function actionName(value: number): string {
  return actionNames.get(value) ?? String(value);
}
