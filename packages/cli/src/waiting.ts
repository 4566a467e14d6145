import { setTimeout as sleep } from 'node:timers/promises';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { tell } from './output.ts';

export interface Answer<Value> {
  readonly value: Value;
  /** What is not yet as it should be; empty: nothing more to wait for. */
  readonly awaited: readonly string[];
}

export interface WaitOptions {
  readonly seconds: number;
  readonly pollMs: number;
  readonly context: Context;
}

/** How many of the things that are waited for one line names. */
const namedMax = 4;

/**
 * Asks until nothing is awaited, and says on the way what it waits for, once for each change. The last answer when the time
 * is over; an error then only if there was none.
 */
export async function waitUntil<Value>(
  ask: () => Promise<Answer<Value>>,
  options: WaitOptions,
): Promise<Answer<Value>> {
  const { seconds, pollMs, context } = options;
  const end = performance.now() + seconds * 1000;
  let told = '';
  for (;;) {
    const answer = await attempt(ask);
    const awaited = answer instanceof CommandError ? [answer.message] : answer.awaited;
    if (!(answer instanceof CommandError) && awaited.length === 0) return answer;
    if (performance.now() >= end) {
      if (answer instanceof CommandError) throw answer;
      return answer;
    }
    const line = awaitedLine(awaited);
    if (line !== told) tell(context, `waiting for: ${line}`);
    told = line;
    await sleep(pollMs, undefined, { signal: context.signal });
  }
}

/** Who cannot be asked yet, may be later. */
async function attempt<Value>(ask: () => Promise<Answer<Value>>): Promise<Answer<Value> | CommandError> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
}

export function awaitedLine(awaited: readonly string[]): string {
  const rest = awaited.length - namedMax;
  return `${awaited.slice(0, namedMax).join('; ')}${rest > 0 ? `; and ${rest} more` : ''}`;
}
