import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CommandError } from './command-error.ts';
import type { Context } from './context.ts';
import { type Answer, waitUntil } from './waiting.ts';

function screen() {
  const lines: string[] = [];
  const context: Context = {
    environment: {},
    out: { write: () => true },
    err: { write: (text: string) => lines.push(text) },
    signal: new AbortController().signal,
  };
  return { lines, context };
}

/** Answers one after the other, the last one for ever. */
function answers(...given: readonly (readonly string[] | CommandError)[]) {
  let asked = 0;
  return async (): Promise<Answer<number>> => {
    const answer = given[Math.min(asked++, given.length - 1)] ?? [];
    if (answer instanceof CommandError) throw answer;
    return { value: asked, awaited: answer };
  };
}

test('what is waited for is said once for each change, and then the answer comes', async () => {
  const { lines, context } = screen();
  const down = new CommandError('no agent answers');
  const ask = answers(down, down, ['n2: CNI', 'n3: CNI'], ['n3: CNI'], ['n3: CNI'], []);
  const { value, awaited } = await waitUntil(ask, { seconds: 60, pollMs: 1, context });
  assert.deepEqual([value, awaited], [6, []]);
  assert.deepEqual(lines, [
    'waiting for: no agent answers\n',
    'waiting for: n2: CNI; n3: CNI\n',
    'waiting for: n3: CNI\n',
  ]);
});

test('when the time is over the last answer comes with what is missing, or the error if nobody answered', async () => {
  const { context } = screen();
  const late = await waitUntil(answers(['n2: CNI']), { seconds: 0, pollMs: 1, context });
  assert.deepEqual(late.awaited, ['n2: CNI']);
  await assert.rejects(
    waitUntil(answers(new CommandError('no agent answers')), { seconds: 0, pollMs: 1, context }),
    /no agent answers/,
  );
});

test('of many things a line names a few', async () => {
  const { lines, context } = screen();
  const many = Array.from({ length: 100 }, (_, index) => `n${index}: CNI`);
  await waitUntil(answers(many, []), { seconds: 60, pollMs: 1, context });
  assert.deepEqual(lines, ['waiting for: n0: CNI; n1: CNI; n2: CNI; n3: CNI; and 96 more\n']);
});
