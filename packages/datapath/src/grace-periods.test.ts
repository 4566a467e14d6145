import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { silentLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { expeditedGracePeriods } from './grace-periods.ts';

function machine(before: string) {
  const directory = temporaryDirectory();
  const setting = join(directory.path, 'kernel/rcu_expedited');
  const markerPath = join(directory.path, 'marker');
  mkdirSync(join(directory.path, 'kernel'));
  writeFileSync(setting, `${before}\n`);
  const told: unknown[] = [];
  const log = { ...silentLogger, info: (fields: unknown) => told.push(fields) } as typeof silentLogger;
  return {
    markerPath,
    setting,
    told,
    expedite: () => expeditedGracePeriods({ sysPath: directory.path, markerPath, log }),
    value: () => readFileSync(setting, 'utf8').trim(),
    [Symbol.dispose]: () => directory[Symbol.dispose](),
  };
}

test('the kernel hurries during the call only, also when the call fails', () => {
  using m = machine('0');
  const expedite = m.expedite();
  assert.equal(
    expedite(() => m.value()),
    '1',
  );
  assert.throws(
    () =>
      expedite(() => {
        assert.ok(existsSync(m.markerPath));
        throw new Error('no such device');
      }),
    /no such device/,
  );
  assert.deepEqual([m.value(), existsSync(m.markerPath), m.told], ['0', false, []]);
});

test("somebody else's setting stays", () => {
  using m = machine('1');
  m.expedite()(() => assert.equal(m.value(), '1'));
  assert.deepEqual([m.value(), existsSync(m.markerPath)], ['1', false]);
});

test('what an agent left that was killed in between is put back', () => {
  using m = machine('1');
  writeFileSync(m.markerPath, '');
  m.expedite();
  assert.deepEqual([m.value(), existsSync(m.markerPath)], ['0', false]);
});

test('a kernel without the setting is told once, and the call is made all the same', () => {
  using m = machine('0');
  rmSync(m.setting);
  const expedite = m.expedite();
  assert.deepEqual([expedite(() => 7), expedite(() => 8)], [7, 8]);
  assert.equal(m.told.length, 1);
});

test('a setting that cannot be written leaves no mark for the next agent', () => {
  using m = machine('0');
  rmSync(m.setting);
  // Readable as 0, and nothing to write to.
  symlinkSync('/sys/class/net/lo/carrier_changes', m.setting);
  const expedite = m.expedite();
  assert.equal(
    expedite(() => 7),
    7,
  );
  assert.equal(existsSync(m.markerPath), false);
});
