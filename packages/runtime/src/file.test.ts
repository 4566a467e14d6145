import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { installationRoot, readFileIfPresent, readFileUpTo, writeFileAtomic } from './index.ts';

function temporaryDirectory(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'sluice-runtime-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('a file is written whole, private, with its folder, and nothing is left beside it', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'a/b/state.json');
  writeFileAtomic(path, 'one');
  writeFileAtomic(path, 'two');
  assert.equal(readFileIfPresent(path), 'two');
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.deepEqual(readdirSync(join(directory.path, 'a/b')), ['state.json']);
  writeFileAtomic(path, new Uint8Array([0x78]), { mode: 0o644 });
  assert.equal(statSync(path).mode & 0o777, 0o644);
});

test('a failed write names the path, leaves the old content and no left-over', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'state');
  mkdirSync(join(path, 'in-the-way'), { recursive: true });
  assert.throws(() => writeFileAtomic(path, 'x'), /write .*state: /);
  assert.deepEqual(readdirSync(directory.path), ['state']);
});

test('a file that is not there reads as undefined and is removed without complaint', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'nothing');
  assert.equal(readFileIfPresent(path), undefined);
  assert.throws(() => readFileIfPresent(directory.path), /read .*EISDIR/);
});

test('the installation is found from a file in it, or where SLUICE_ROOT says', () => {
  const root = installationRoot(undefined, {});
  assert.ok(statSync(join(root, 'bpf')).isDirectory());
  assert.equal(installationRoot(join(root, 'dist/agent.js'), {}), root);
  assert.equal(installationRoot('/nowhere/x.js', { SLUICE_ROOT: root }), root);
  assert.throws(() => installationRoot('/nowhere/x.js', {}), /set SLUICE_ROOT/);
  assert.throws(() => installationRoot(undefined, { SLUICE_ROOT: '/nowhere' }), /SLUICE_ROOT is \/nowhere/);
});

test('a file that a person names is read as far as it may go', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'f');
  writeFileAtomic(path, 'x'.repeat(100_000));
  assert.equal(readFileUpTo(path, 100_000).length, 100_000);
  assert.throws(() => readFileUpTo(path, 99_999), /read .*\/f: it is larger than 99999 bytes/);
  assert.throws(() => readFileUpTo('/dev/zero', 1_000_000), /read \/dev\/zero: it is larger than/);
  assert.throws(() => readFileUpTo(directory.path, 10), /read .*: EISDIR/);
  assert.throws(() => readFileUpTo(join(directory.path, 'no'), 10), /read .*\/no: ENOENT/);
});
