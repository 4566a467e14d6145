import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { test } from 'node:test';
import { temporaryDirectory } from '@sluice/testing';
import { claimRunDirectory } from './run-directory.ts';

test('of agents that start at the same moment one gets the directory, and the next when that one has ended', async () => {
  using directory = temporaryDirectory();
  const claims = await Promise.allSettled(Array.from({ length: 5 }, () => claimRunDirectory(directory.path)));
  const [claim, ...others] = claims.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  assert.deepEqual(others, []);
  for (const each of claims) {
    if (each.status === 'rejected') assert.match(String(each.reason), /another agent has .*: one agent a node/);
  }
  claim?.[Symbol.dispose]();
  assert.deepEqual(readdirSync(directory.path), []);
  (await claimRunDirectory(directory.path))[Symbol.dispose]();
});
