import { interrupted } from './interruption.ts';

/**
 * Contenders measured in turn: what drifts on a machine (heat, other work) then reaches all alike. Every other round goes
 * backwards (ABBA), so that nobody is always the second.
 */
export async function inTurn<Result>(
  rounds: number,
  contenders: readonly (() => Promise<Result>)[],
): Promise<Result[][]> {
  const results: Result[][] = contenders.map(() => []);
  for (let round = 0; round < rounds; round += 1) {
    interrupted.throwIfAborted();
    const order = [...contenders.keys()];
    for (const index of round % 2 === 0 ? order : order.reverse()) {
      const contender = contenders[index];
      if (contender) results[index]?.push(await contender());
    }
  }
  return results;
}

/** Round by round: what one has, divided by what the other had in the same round. */
export function ratios<Result>(
  ours: readonly Result[],
  theirs: readonly Result[],
  of: (result: Result) => number,
): number[] {
  return byRound(ours.map(of), theirs.map(of), (mine, other) => mine / other);
}

/** Round by round: what one has more than the other had in the same round. */
export function differences<Result>(
  ours: readonly Result[],
  theirs: readonly Result[],
  of: (result: Result) => number,
): number[] {
  return byRound(ours.map(of), theirs.map(of), (mine, other) => mine - other);
}

/** Not a number where the other has no such round. */
function byRound(
  ours: readonly number[],
  theirs: readonly number[],
  compare: (mine: number, other: number) => number,
): number[] {
  return ours.map((mine, round) => compare(mine, theirs[round] ?? Number.NaN));
}
