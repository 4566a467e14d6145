/** What a row of the benchmark is, and what it gives. */
import type { Estimate } from './statistics.ts';

export interface Row {
  readonly name: string;
  /** One sentence: what is measured, against what. */
  readonly sentence: string;
  /** As people say it. */
  readonly goal: string;
  /** Too long for every day: it runs when it is named. */
  readonly onRequest?: boolean;
  /** Throws where what is measured does not work right: there is no figure of a broken path. */
  run(context: RowContext): Promise<Outcome>;
}

export interface RowContext {
  /** Enough to see that it works, too little to believe the figure. */
  readonly quick: boolean;
  /** As often as the goal says, however long it takes. */
  readonly long: boolean;
  readonly progress: (text: string) => void;
}

export interface Outcome {
  readonly figures: readonly Figure[];
  /** What one must know to read them; where a goal is missed, why, if that is known. */
  readonly notes?: readonly string[];
}

export interface Figure {
  readonly what: string;
  readonly value: number;
  readonly unit: Unit;
  readonly interval?: Estimate['interval'];
  /** Whose figure it is; absent: ours. */
  readonly peer?: string;
  readonly goal?: Goal;
}

export type Unit = 'x' | 'ms' | 'us' | 'ns' | 's' | 'MiB' | 'bytes' | '%' | 'millicores' | '/s' | 'Gbit/s' | '';
export type Goal = { readonly atMost: number } | { readonly atLeast: number };
export type Verdict = 'met' | 'missed';

/** Where the figure has an interval, its worse end must reach the goal. */
export function verdictOf({ value, interval, goal }: Figure): Verdict | undefined {
  if (!goal) return undefined;
  const [low, high] = interval ?? [value, value];
  const isMet = 'atMost' in goal ? high <= goal.atMost : low >= goal.atLeast;
  return isMet ? 'met' : 'missed';
}

/** Missed as soon as one of its goals is. */
export function rowVerdict({ figures }: Outcome): Verdict | undefined {
  const verdicts = figures.map(verdictOf).filter((verdict) => verdict !== undefined);
  if (verdicts.length === 0) return undefined;
  return verdicts.includes('missed') ? 'missed' : 'met';
}

export function ratio(what: string, { value, interval }: Estimate, rest: Partial<Figure> = {}): Figure {
  return { what, value, interval, unit: 'x', ...rest };
}
