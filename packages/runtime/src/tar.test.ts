import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { type Entry, tarArchive } from './tar.ts';

const text = (path: string, content: string, mode: 0o644 | 0o755 = 0o644): Entry => ({
  path,
  content: Buffer.from(content),
  mode,
});

test("the system's tar reads what was packed: owners, dates, modes, links, contents", () => {
  const archive = tarArchive([
    text('opt/b', 'x'.repeat(513), 0o755),
    text('etc/passwd', 'root\n'),
    { path: 'opt/a', target: 'b' },
  ]);
  const list = execFileSync('tar', ['--list', '--verbose', '--numeric-owner', '--utc', '--full-time'], {
    input: archive,
    encoding: 'utf8',
  });
  const lines = list
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/\s+/g, ' '));
  assert.deepEqual(lines, [
    'drwxr-xr-x 0/0 0 1970-01-01 00:00:00 etc/',
    '-rw-r--r-- 0/0 5 1970-01-01 00:00:00 etc/passwd',
    'drwxr-xr-x 0/0 0 1970-01-01 00:00:00 opt/',
    'lrwxrwxrwx 0/0 0 1970-01-01 00:00:00 opt/a -> b',
    '-rwxr-xr-x 0/0 513 1970-01-01 00:00:00 opt/b',
  ]);
  const content = execFileSync('tar', ['--extract', '--to-stdout', 'opt/b'], { input: archive, encoding: 'utf8' });
  assert.equal(content, 'x'.repeat(513));
});

test('the order in which entries are given makes no difference', () => {
  const entries = ['b', 'a/c', 'a-b', 'a/b'].map((path) => text(path, path));
  assert.deepEqual(tarArchive(entries), tarArchive(entries.toReversed()));
});

test('a long path is split between its folders, and the time is that of all entries', () => {
  const path = `${'folder/'.repeat(20)}${'n'.repeat(90)}`;
  const archive = tarArchive([text(path, 'here')], { time: 1_000_000_000 });
  const tar = (...args: string[]) => execFileSync('tar', args, { input: archive, encoding: 'utf8' });
  assert.equal(tar('--list').trim().split('\n').at(-1), path);
  assert.equal(tar('--extract', '--to-stdout', path), 'here');
  assert.match(tar('--list', '--verbose', '--utc', '--full-time'), /2001-09-09 01:46:40/);
});

test('a path that a header cannot hold is refused', () => {
  assert.throws(() => tarArchive([text('x'.repeat(101), '')]), /longer than a ustar name may be/);
});
