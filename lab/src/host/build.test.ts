import assert from 'node:assert/strict';
import { mkdirSync, mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { buildIdentity } from './build.ts';

test('a build is told from another by its entries and BPF objects, and by nothing else', () => {
  using directory = mkdtempDisposableSync('/tmp/build-identity-');
  const root = directory.path;
  const write = (file: string, text: string) => writeFileSync(join(root, file), text);
  for (const folder of ['dist', 'bpf/build']) mkdirSync(join(root, folder), { recursive: true });
  const seen = [buildIdentity(root)];
  for (const file of ['dist/agent.js', 'dist/operator.js', 'dist/lab.js', 'bpf/build/pod.o']) {
    for (const text of ['one', 'other']) {
      write(file, text);
      seen.push(buildIdentity(root));
    }
  }
  assert.equal(new Set(seen).size, seen.length);
  write('dist/sluice.js', 'the command line');
  write('dist/agent.js', 'other');
  assert.equal(buildIdentity(root), seen.at(-1));
});
