import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { sluice } from '../test-agent.ts';

interface Removed {
  readonly name: string;
  readonly outcome: string;
}

test('a dry run names what is below the root, and the folder is there afterwards', async () => {
  const root = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  const state = join(root, 'var/lib/sluice');
  mkdirSync(state, { recursive: true });
  writeFileSync(join(state, 'node.json'), '{}');
  const { out, exitCode } = await sluice(['cleanup', '--dry-run', '--root', root, '-o', 'json']);
  const found = (JSON.parse(out) as Removed[]).filter(({ name }) => name.startsWith(root));
  assert.deepEqual([exitCode, found.map(({ name, outcome }) => [name, outcome])], [0, [[state, 'would be removed']]]);
  assert.ok(existsSync(join(state, 'node.json')));
  rmSync(root, { recursive: true });
});

test("pods are Sluice's and have nothing to do with kube-proxy", async () => {
  const { err, exitCode } = await sluice(['cleanup', '--kube-proxy', '--pods']);
  assert.deepEqual([exitCode, err], [2, 'sluice: --pods is of Sluice, --kube-proxy of another: give one of them\n']);
});
