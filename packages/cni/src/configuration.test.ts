import assert from 'node:assert/strict';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sluice/testing';
import { writeCniConfiguration } from './index.ts';

test('the network configuration is written once and left alone while it is right', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, '05-sluice.conflist');
  assert.equal(writeCniConfiguration(path, { agentSocket: '/run/a.sock' }), true);
  assert.equal(writeCniConfiguration(path, { agentSocket: '/run/a.sock' }), false);
  assert.equal(writeCniConfiguration(path, { agentSocket: '/run/b.sock' }), true);
  const list = JSON.parse(readFileSync(path, 'utf8'));
  // What runtimes before CNI 1.1 read, and those after.
  assert.deepEqual([list.cniVersion, list.cniVersions], ['1.0.0', ['1.0.0', '1.1.0']]);
  const capabilities = { portMappings: true };
  assert.deepEqual(list.plugins, [{ type: 'sluice-cni', agentSocket: '/run/b.sock', capabilities }]);
  assert.equal(statSync(path).mode & 0o777, 0o644);
});
