import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { installationRoot } from '@sluice/runtime';
import { conformanceCases } from './cases.ts';
import { provedElsewhere } from './proved-elsewhere.ts';

test('a case that another test holds is found there by its sentence', () => {
  for (const { file, test: sentence } of provedElsewhere)
    assert.ok(readFileSync(join(installationRoot(), file), 'utf8').includes(sentence), `${file}: ${sentence}`);
});

test('each of the upstream cases is held once', () => {
  const names = [...conformanceCases, ...provedElsewhere].flatMap(({ upstream }) => upstream);
  assert.deepEqual(names.length, new Set(names).size);
});
