import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadObject } from '@sluice/bpf';
import { installationRoot } from '@sluice/runtime';
import { readObject } from './objects.ts';

const BUDGET = 100_000;

test('programs that forward nothing verify, far below the limit of a million instructions', (context) => {
  for (const object of ['kfree', 'inspect']) {
    using loaded = loadObject(readObject(`${installationRoot()}/bpf/build`, object));
    for (const [name, program] of loaded.programs) {
      const { instructions, verifiedInstructions } = program.info();
      context.diagnostic(`${name.padEnd(22)} ${instructions} / ${verifiedInstructions}`);
      assert.ok(verifiedInstructions < BUDGET, name);
    }
  }
});
