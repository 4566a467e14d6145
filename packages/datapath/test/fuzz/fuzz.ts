/**
 * Random and mutated packets for one program, the same ones for the same seed. What must hold for each of them: the
 * program returns what an entry may return, and exactly one counter has moved, so that no drop is without a reason; a
 * packet that was sound before is sound behind it.
 */
import { type Program, ProgramType } from '@sluice/bpf';
import { installationRoot } from '@sluice/runtime';
import { DropReason, dropReasonNames, isDrop } from '../../src/index.ts';
import { hookObjects, readObject } from '../../src/objects.ts';
import { type Bench, createBench } from '../programs.ts';
import { answers } from './answers.ts';
import { corpus, writeCorpusRows } from './corpus.ts';
import { type Draft, draw } from './mutate.ts';
import { type Random, seededRandom } from './random.ts';
import { type Surroundings, TestRunner } from './run.ts';
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
  /** Left alone, and so not counted. */
  readonly passed: number;
  /** How many were held against what they were before. */
  readonly compared: number;
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

export function fuzz(options: FuzzOptions): FuzzReport {
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

class Fuzzer {
  readonly #bench: Bench;
  readonly #runner: TestRunner;
  readonly #options: FuzzOptions;
  readonly #random: Random;
  readonly #packets: readonly Uint8Array[];
  readonly #draft: Draft;
  readonly #returned = new Map<number, number>();
  readonly #batch: { bytes: Uint8Array; surroundings: Surroundings }[] = [];
  #compared = 0;
  #refused = 0;
  #passed = 0;

  constructor(bench: Bench, runner: TestRunner, options: FuzzOptions) {
    this.#bench = bench;
    this.#runner = runner;
    this.#options = options;
    this.#packets = [...corpus(options.program), ...answers(bench, options.program)];
    this.#random = seededRandom(options.seed);
    this.#draft = { bytes: runner.input, length: 0 };
  }

  run(): FuzzReport {
    const { packets, onProgress, signal } = this.#options;
    const started = performance.now();
    let counted = countersOf(this.#bench);
    let done = 0;
    while (done < packets && signal?.aborted !== true) {
      const size = Math.min(BATCH, packets - done);
      const uncounted = this.#refused + this.#passed;
      for (let index = 0; index < size; index += 1) this.#one(done + index);
      const now = countersOf(this.#bench);
      if (now.total - counted.total !== size - (this.#refused + this.#passed - uncounted)) this.#findUncounted(done);
      counted = now;
      done += size;
      // The ring is read as the agent reads it: an event that cannot be decoded is a failure, too.
      this.#bench.drain();
      onProgress?.(done);
    }
    return {
      packets: done,
      seconds: (performance.now() - started) / 1000,
      actions: Object.fromEntries([...this.#returned].map(([value, count]) => [actionName(value), count])),
      reasons: counted.reasons,
      passed: this.#passed,
      compared: this.#compared,
      refused: this.#refused,
    };
  }

  #one(index: number): void {
    draw(this.#draft, this.#packets, this.#random);
    const surroundings = drawSurroundings(this.#random);
    const isCompared = this.#random.oneIn(COMPARED_EVERY);
    if (isCompared) repairChecksums(this.#draft);
    const { bytes, length } = this.#draft;
    this.#batch[index % BATCH] = { bytes: bytes.slice(0, length), surroundings };
    this.#runner.surroundings = surroundings;
    const returned = isCompared ? this.#compare(index) : this.#runner.run(length);
    if (returned === undefined) {
      this.#refused += 1;
      return;
    }
    if (returned === PASSED && this.#options.program.startsWith('netdev')) {
      this.#passed += 1;
      return;
    }
    if (!actionNames.has(returned)) throw this.#failure(`returned ${returned}`, index);
    this.#returned.set(returned, (this.#returned.get(returned) ?? 0) + 1);
  }

  #compare(index: number): number | undefined {
    const { length } = this.#draft;
    const isSound = flaw(this.#draft.bytes.subarray(0, length)) === undefined;
    const { returned, packet } = this.#runner.runAndRead(length);
    if (!isSound || returned === undefined || returned === SHOT) return returned;
    this.#compared += 1;
    const problem = flaw(packet);
    if (problem === undefined) return returned;
    throw this.#failure(`made ${Buffer.from(packet).toString('hex')} of it: ${problem}`, index);
  }

  /** Sends the batch again, one by one: what depends on the packets before may not show itself a second time. */
  #findUncounted(first: number): never {
    let before = countersOf(this.#bench).total;
    for (const [index, { bytes, surroundings }] of this.#batch.entries()) {
      this.#runner.input.set(bytes);
      this.#runner.surroundings = surroundings;
      const returned = this.#runner.run(bytes.byteLength);
      const expected = returned === undefined || returned === PASSED ? 0 : 1;
      const after = countersOf(this.#bench).total;
      if (after - before !== expected)
        throw this.#failure(`${after - before} counters moved, not ${expected}`, first + index);
      before = after;
    }
    throw this.#failure('the counters of a batch do not add up, though each of its packets is counted alone', first);
  }

  #failure(problem: string, index: number): FuzzFailure {
    const { program, seed } = this.#options;
    const { bytes = new Uint8Array(), surroundings = noSurroundings } = this.#batch[index % BATCH] ?? {};
    return new FuzzFailure(problem, { program, seed, index, packet: Buffer.from(bytes).toString('hex'), surroundings });
  }
}

const noSurroundings: Surroundings = { mark: 0, priority: 0, gsoSize: 0, gsoSegments: 0 };

/** GSO for some; for the overlay a VNI and a sender, see tunnel.bpf.c. */
function drawSurroundings(random: Random): Surroundings {
  const isGso = random.oneIn(4);
  return {
    mark: random.oneIn(16) ? random.pick([0, 0xffffff, 0x1000000, 0xffffffff]) : REMOTE_IDENTITY,
    priority: random.oneIn(16) ? random.pick([0, 0x7f000001, 0xffffffff]) : NODE_NUMBER,
    gsoSize: isGso ? random.pick([1, 8, 536, 1400, 1448, 0xffff]) : 0,
    gsoSegments: isGso ? random.pick([0, 1, 2, 44, 0xffff]) : 0,
  };
}

interface Counted {
  /** Of those that every packet moves exactly one of. */
  readonly total: number;
  readonly reasons: Readonly<Record<string, number>>;
}

function countersOf({ maps }: Bench): Counted {
  let total = 0;
  const reasons: Record<string, number> = {};
  for (const [{ reason }, perCpu] of maps.counters.entries()) {
    const packets = perCpu.reduce((sum, counter) => sum + Number(counter.packets), 0);
    if (isDrop(reason) || reason === DropReason.Forwarded) total += packets;
    const name = new Map(Object.entries(dropReasonNames)).get(String(reason)) ?? `reason ${reason}`;
    reasons[name] = (reasons[name] ?? 0) + packets;
  }
  return { total, reasons };
}

function actionName(value: number): string {
  return actionNames.get(value) ?? String(value);
}
