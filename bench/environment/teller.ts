import { setTimeout as delay } from 'node:timers/promises';
import { type Place, startInside } from './inside.ts';

/** A program that says a line of JSON when it is ready, and another one each time that it is asked, by SIGUSR1. */
export interface Teller<Answer> extends AsyncDisposable {
  ask(): Promise<Answer>;
}

const answerTimeoutMs = 10_000;

export async function startTeller<Answer>(place: Place, command: readonly string[]): Promise<Teller<Answer>> {
  const answers: Answer[] = [];
  const standing = await startInside(place, command, { onLine: (line) => answers.push(JSON.parse(line)) });
  answers.length = 0;
  return {
    async ask() {
      standing.child.kill('SIGUSR1');
      for (const end = performance.now() + answerTimeoutMs; performance.now() < end; await delay(2)) {
        const answer = answers.shift();
        if (answer !== undefined) return answer;
        if (standing.hasEnded()) break;
      }
      throw new Error(`${command.slice(0, 4).join(' ')}: ended, or does not answer`);
    },
    [Symbol.asyncDispose]: () => standing[Symbol.asyncDispose](),
  };
}
