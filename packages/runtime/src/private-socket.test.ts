import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { listenPrivately } from './index.ts';

test('a socket is for its owner only, replaces what is left of another, and the umask is as before', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'run', 'one.sock');
  const umask = process.umask();
  for (const _ of ['first', 'second']) {
    const server = createServer();
    await listenPrivately(server, path);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    server.close();
    writeFileSync(path, 'left behind');
  }
  assert.equal(process.umask(), umask);
});

test('a path that cannot be is an error, and the umask is as before', async () => {
  const umask = process.umask();
  await assert.rejects(listenPrivately(createServer(), `/tmp/${'x'.repeat(200)}.sock`), { code: 'EINVAL' });
  assert.equal(process.umask(), umask);
});

test('a socket whose file was removed, or replaced by another, is not there', async (t) => {
  const directory = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  t.after(() => rmSync(directory, { recursive: true }));
  const path = join(directory, 'one.sock');
  const [first, second] = [createServer(), createServer()];
  t.after(() => [first, second].map((server) => server.close()));
  const socket = await listenPrivately(first, path);
  assert.equal(socket.isThere(), true);
  rmSync(path);
  assert.equal(socket.isThere(), false);
  const other = await listenPrivately(second, path);
  assert.deepEqual([socket.isThere(), other.isThere()], [false, true]);
});
