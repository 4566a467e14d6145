import assert from 'node:assert/strict';
import { test } from 'node:test';
import { installationRoot } from '@sluice/runtime';
import { configuration, createBench } from '../test/programs.ts';
import { hookObjects, hookPrograms, readObject } from './objects.ts';

const BUDGET = 100_000;

const names = hookObjects.flatMap((object) =>
  readObject(`${installationRoot()}/bpf/build`, object).programs.map(({ name }) => name),
);

test('the list of programs that are pinned is what the objects have', () => {
  assert.deepEqual(hookPrograms.toSorted(), names.toSorted());
});

const SWITCHES = ['ipv4Enabled', 'ipv6Enabled', 'dryRun', 'masqueradeIpv4', 'masqueradeIpv6', 'hostRouting'] as const;

/** Each switch that removes code, in each position. */
function* configurations() {
  for (let bits = 0; bits < 2 ** SWITCHES.length; bits += 1) {
    const switched = SWITCHES.map((name, index) => [name, (bits >> index) & 1] as const);
    yield { ...configuration, ...Object.fromEntries(switched) };
  }
  // One program's alone.
  yield { ...configuration, bindProtection: 0 };
}

test('every program verifies under every configuration, far below the limit of a million instructions', (context) => {
  const most = new Map<string, number>();
  let count = 0;
  for (const chosen of configurations()) {
    count += 1;
    using bench = createBench(chosen);
    for (const name of names) {
      const { verifiedInstructions } = bench.program(name).info();
      most.set(name, Math.max(most.get(name) ?? 0, verifiedInstructions));
    }
  }
  using bench = createBench();
  context.diagnostic(`${count} configurations; instructions that run / most that the verifier walked:`);
  for (const name of names) {
    context.diagnostic(`${name.padEnd(22)} ${bench.program(name).info().instructions} / ${most.get(name)}`);
  }
  assert.equal(count, 2 ** SWITCHES.length + 1);
  for (const [name, verified] of most) assert.ok(verified < BUDGET, `${name}: ${verified}`);
});
