import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { forgetFailure, lastFailure, noteFailure } from './index.ts';

test('a failure is kept until a start was good; what is damaged is none', (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-test-'));
  t.after(() => rmSync(directory, { recursive: true }));
  assert.equal(lastFailure(directory), undefined);
  const failure = { at: 1_700_000_000_000, message: 'map conntrack is somebody else’s' };
  noteFailure(directory, failure);
  assert.deepEqual(lastFailure(directory), failure);
  forgetFailure(directory);
  forgetFailure(directory);
  noteFailure(join(directory, 'nowhere'), failure);
  assert.equal(lastFailure(directory), undefined);
  for (const text of ['', '{', 'null', '{"at":"now","message":"x"}']) {
    writeFileSync(join(directory, 'last-failure.json'), text);
    assert.equal(lastFailure(directory), undefined, text);
  }
});
