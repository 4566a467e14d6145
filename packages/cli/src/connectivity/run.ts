/** Tries the cases, several at a time, and tells of each in their order. */
import { type Clock, sleep } from '@sluice/runtime';
import { CommandError } from '../command-error.ts';
import { type Case, OUTSIDE, type Step } from './case.ts';
import { failureOf, hostsOf, type Outcome, wantedText } from './verdict.ts';

export interface RunOptions {
  /** How many cases are tried at the same time. */
  readonly concurrency: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  /** Runs a command in a pod, or OUTSIDE; throws CommandError where it cannot be run. */
  readonly execute: (from: string, command: readonly string[]) => Promise<Outcome>;
  /** A case has begun, or has ended. */
  readonly onProgress: (progress: Progress) => void;
  readonly onResult: (result: CaseResult) => void;
}

export interface Progress {
  readonly done: number;
  readonly failed: number;
  readonly running: readonly string[];
}

export type CaseResult = {
  readonly name: string;
  readonly summary: string;
} & (
  | { readonly status: 'passed'; readonly ms: number; readonly tries: number }
  | { readonly status: 'failed'; readonly ms: number; readonly tries: number; readonly failure: Failure }
  | { readonly status: 'not-run'; readonly why: string }
);

export interface Failure {
  readonly from: string;
  readonly command: string;
  readonly wanted: string;
  readonly came: string;
  /** Where to look next. */
  readonly hint: string;
}

/** What has just been made is known on every node within this time; a case that fails later fails. */
const PROPAGATION_MS = 3_000;
const RETRY_MS = 100;

/** An aborted signal ends the cases under way and begins no others; then it throws its reason. */
export async function runCases(cases: readonly Case[], options: RunOptions): Promise<CaseResult[]> {
  const results: (CaseResult | undefined)[] = cases.map(() => undefined);
  const running = new Set<string>();
  const retriesUntil = nowMs(options.clock) + PROPAGATION_MS;
  let told = 0;
  const tell = (): void => {
    for (let result = results[told]; result !== undefined; result = results[told]) {
      told += 1;
      options.onResult(result);
    }
    const done = results.filter((result) => result !== undefined);
    const failed = done.filter(({ status }) => status === 'failed').length;
    options.onProgress({ done: done.length, failed, running: [...running] });
  };
  const work = cases.entries();
  const worker = async (): Promise<void> => {
    for (const [index, entry] of work) {
      running.add(entry.name);
      tell();
      results[index] = await tryCase(entry, retriesUntil, options);
      running.delete(entry.name);
      tell();
    }
  };
  await Promise.all(Array.from({ length: options.concurrency }, worker));
  return results.filter((result) => result !== undefined);
}

const nowMs = (clock: Clock): number => Number(clock.monotonicNs()) / 1e6;

async function tryCase(entry: Case, retriesUntil: number, options: RunOptions): Promise<CaseResult> {
  const { clock, signal } = options;
  const { name, summary, notRun } = entry;
  if (notRun !== undefined) return { name, summary, status: 'not-run', why: notRun };
  for (let tries = 1; ; tries += 1) {
    signal.throwIfAborted();
    const began = nowMs(clock);
    const failure = await attempt(entry, options);
    signal.throwIfAborted();
    const ms = nowMs(clock) - began;
    if (failure === undefined) return { name, summary, status: 'passed', ms, tries };
    if (nowMs(clock) > retriesUntil) return { name, summary, status: 'failed', ms, tries, failure };
    await sleep(clock, RETRY_MS, signal);
  }
}

async function attempt(entry: Case, options: RunOptions): Promise<Failure | undefined> {
  const hosts = new Set<string>();
  for (const step of entry.steps) {
    const [end, ...beside] = await Promise.all(withBeside(step).map((part) => runStep(part, options)));
    const failed = [end, ...beside].find((ended) => ended?.failure !== undefined);
    if (failed?.failure !== undefined) return { ...failed.failure, hint: entry.hint };
    for (const host of end === undefined ? [] : hostsOf(end.outcome)) hosts.add(host);
    if (entry.isSameHost && hosts.size > 1) {
      const came = `now from ${[...hosts].join(', before from ')}`;
      return { ...tellStep(step), wanted: 'an answer from the same host as before', came, hint: entry.hint };
    }
  }
  return undefined;
}

const withBeside = (step: Step): Step[] => (step.beside === undefined ? [step] : [step, ...withBeside(step.beside)]);

const tellStep = ({ from, command }: Step) => ({
  from: from === OUTSIDE ? 'outside of the cluster' : `pod ${from}`,
  command: command.join(' '),
});

interface EndedStep {
  readonly outcome: Outcome;
  readonly failure: Omit<Failure, 'hint'> | undefined;
}

/** A command that cannot be run fails this case and not the whole test. */
async function runStep(step: Step, { execute }: RunOptions): Promise<EndedStep> {
  try {
    const outcome = await execute(step.from, step.command);
    const came = failureOf(step.expected, outcome);
    const failure = came === undefined ? undefined : { ...tellStep(step), wanted: wantedText(step.expected), came };
    return { outcome, failure };
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const failure = { ...tellStep(step), wanted: wantedText(step.expected), came: error.message };
    return { outcome: { exitCode: 1, stdout: '', stderr: '' }, failure };
  }
}
