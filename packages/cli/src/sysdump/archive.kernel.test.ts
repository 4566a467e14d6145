// Needs root, for a file system that is full.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { tarArchive } from '@sluice/runtime/tar';
import { sluice } from '../test-agent.ts';
import { folder } from '../test-archive.ts';
import { serveCommands, testCluster } from '../test-cluster.ts';

function fullFolder() {
  const place = folder();
  const { status, stderr } = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', place.path], {
    encoding: 'utf8',
  });
  assert.equal(status, 0, stderr);
  return {
    path: place.path,
    [Symbol.dispose]: () => {
      spawnSync('umount', [place.path]);
      place[Symbol.dispose]();
    },
  };
}

test('an archive that finds no room ends the dump at once, whoever is still being asked', async () => {
  using place = fullFolder();
  await using cluster = await testCluster(['n1', 'n2', 'n3']);
  const text = Buffer.from(randomBytes(200_000).toString('base64'));
  const large = gzipSync(tarArchive([{ path: 'd/node/x.txt', content: text, mode: 0o644 }]));
  serveCommands(cluster.api, (pod, command, out) => {
    if (command[1] === 'status') return Promise.resolve(1);
    if (!pod.endsWith('n2')) return new Promise(() => undefined);
    out.write(large);
    return Promise.resolve(0);
  });
  const args = ['sysdump', '--output', join(place.path, 'x.tgz'), '--kubeconfig', cluster.kubeconfig];
  const { err, exitCode } = await sluice(args);
  assert.equal(exitCode, 2);
  assert.match(err, /^sluice: --output .*: ENOSPC: no space left on device, write\n$/m);
  assert.deepEqual(readdirSync(place.path), []);
});
