import { type Datapath, enableStatistics, type ProgramUsage } from '@sluice/datapath';
import { type Clock, sleep, systemClock } from '@sluice/runtime';
import { QueryError, wholeParameter } from './query.ts';

const secondsMax = 60;

/** `?measure=5`: for so many seconds the kernel counts runs and time of all programs, some 20 ns a run. */
export async function measuredPrograms(
  datapath: Datapath,
  query: URLSearchParams,
  clock: Clock = systemClock,
): Promise<readonly ProgramUsage[]> {
  const seconds = wholeParameter(query, 'measure');
  if (seconds === undefined) return datapath.programUsage();
  if (seconds < 1 || seconds > secondsMax) throw new QueryError(`measure ${seconds}: from 1 to ${secondsMax} seconds`);
  using _counting = enableStatistics();
  const before = new Map(datapath.programRuns().map((each) => [each.id, each]));
  await sleep(clock, seconds * 1000);
  const after = new Map(datapath.programRuns().map((each) => [each.id, each]));
  return datapath.programUsage().map((program) => {
    const [first, last] = [before.get(program.id), after.get(program.id)];
    const runs = (last?.runCount ?? 0n) - (first?.runCount ?? 0n);
    const timeNs = (last?.runTimeNs ?? 0n) - (first?.runTimeNs ?? 0n);
    return { ...program, runCount: Number(runs), averageNs: runs === 0n ? undefined : Number(timeNs) / Number(runs) };
  });
}
