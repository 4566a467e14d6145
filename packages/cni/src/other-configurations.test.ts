import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sluice/testing';
import { configurationsIn, putOthersBack, setOthersAside } from './other-configurations.ts';

test('configurations of others are out of sight while we are there, and come back as they were', () => {
  using directory = temporaryDirectory();
  const path = (name: string) => join(directory.path, name);
  const names = [
    '00-old.conf',
    '05-sluice.conflist',
    '10-flannel.conflist',
    '87-podman.json',
    'README',
    'whereabouts.d',
  ];
  for (const name of names) writeFileSync(path(name), name);
  const others = ['00-old.conf', '10-flannel.conflist', '87-podman.json'];
  assert.deepEqual(setOthersAside(path('05-sluice.conflist')), others);
  assert.deepEqual(configurationsIn(directory.path), ['05-sluice.conflist']);
  assert.deepEqual(setOthersAside(path('05-sluice.conflist')), []);
  assert.deepEqual(putOthersBack(path('05-sluice.conflist')), others);
  assert.deepEqual(readdirSync(directory.path).sort(), names.sort());
  for (const name of names) assert.equal(readFileSync(path(name), 'utf8'), name);
});

test('one that its owner has written anew is not overwritten with the old', () => {
  using directory = temporaryDirectory();
  const path = (name: string) => join(directory.path, name);
  writeFileSync(path('10-flannel.conflist'), 'old');
  setOthersAside(path('05-sluice.conflist'));
  writeFileSync(path('10-flannel.conflist'), 'new');
  assert.deepEqual(putOthersBack(path('05-sluice.conflist')), []);
  assert.equal(readFileSync(path('10-flannel.conflist'), 'utf8'), 'new');
});

test('a folder that is not there has none', () => {
  assert.deepEqual(setOthersAside('/nonexistent/05-sluice.conflist'), []);
  assert.deepEqual(putOthersBack('/nonexistent/05-sluice.conflist'), []);
});
