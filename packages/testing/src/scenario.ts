/**
 * Scenario files: what is put in and what must come out, as text that reads like a story.
 *
 *     A service follows its endpoints.
 *
 *     -- apply --
 *     (objects in YAML)
 *     -- show frontends --
 *     (the text that the step must print)
 *
 * A line `-- verb argument … --` begins a step, the lines up to the next one are its body. Steps run in order.
 */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';

export interface ScenarioStep {
  readonly verb: string;
  readonly args: readonly string[];
  readonly body: string;
  /** Of the step's first line, from 1. */
  readonly line: number;
}

/** Does a step. What it returns must equal the step's body; undefined: the body was input. */
export type ScenarioVerb = (step: ScenarioStep) => string | undefined | Promise<string | undefined>;

/** Runs a scenario file; with SLUICE_UPDATE=1 writes what came out into it instead of comparing. */
export async function runScenario(path: string, verbs: Readonly<Record<string, ScenarioVerb>>): Promise<void> {
  const text = readFileSync(path, 'utf8');
  const { title, steps } = parseScenario(text);
  const written = [title];
  for (const step of steps) {
    const verb = verbs[step.verb];
    assert.ok(verb, `${path}:${step.line}: no verb ${step.verb}; there are ${Object.keys(verbs).join(', ')}`);
    const actual = await verb(step);
    if (process.env.SLUICE_UPDATE === undefined && actual !== undefined) {
      assert.equal(
        actual.trimEnd(),
        step.body.trimEnd(),
        `${path}:${step.line}: -- ${[step.verb, ...step.args].join(' ')} --`,
      );
    }
    written.push(
      `-- ${[step.verb, ...step.args].join(' ')} --\n`,
      actual === undefined ? step.body : `${actual.trimEnd()}\n`,
    );
  }
  if (process.env.SLUICE_UPDATE !== undefined) writeFileSync(path, written.join(''));
}

export function parseScenario(text: string): { readonly title: string; readonly steps: readonly ScenarioStep[] } {
  const title: string[] = [];
  const steps: { verb: string; args: string[]; body: string; line: number }[] = [];
  text.split(/(?<=\n)/).forEach((line, index) => {
    const words = /^-- (.+) --$/.exec(line.trimEnd())?.[1]?.split(' ');
    const last = steps.at(-1);
    if (words !== undefined) steps.push({ verb: words[0] ?? '', args: words.slice(1), body: '', line: index + 1 });
    else if (last === undefined) title.push(line);
    else last.body += line;
  });
  return { title: title.join(''), steps };
}
