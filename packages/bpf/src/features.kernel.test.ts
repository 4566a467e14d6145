import assert from 'node:assert/strict';
import { test } from 'node:test';
import { leakCheck } from '@sluice/testing';
import { isVersionAtLeast, kernelVersion, probeFeatures, requireFeatures } from './features.ts';
import { NotSupportedError } from './not-supported-error.ts';

test('kernel has every feature that its version brought', (context) => {
  const version = kernelVersion();
  for (const feature of probeFeatures()) {
    context.diagnostic(`${feature.supported ? 'yes' : 'no '} ${feature.since.padEnd(4)} ${feature.name}`);
    if (!isVersionAtLeast(version, feature.since)) continue;
    assert.ok(feature.supported, `Linux ${version} should have ${feature.name} (${feature.since}): ${feature.why}`);
  }
});

test('probing leaves nothing behind', () => {
  using _leaks = leakCheck();
  probeFeatures();
});

test('features are probed by name', () => {
  assert.deepEqual(probeFeatures(['TCX link']), [{ name: 'TCX link', since: '6.6', supported: true }]);
  requireFeatures('TCX link', 'ring buffer');
});

test('feature that nobody has heard of is refused, not taken as missing', () => {
  assert.throws(() => probeFeatures(['telepathy']), /telepathy/);
});

test('versions are compared as numbers', () => {
  assert.ok(isVersionAtLeast('6.10', '6.9'));
  assert.ok(!isVersionAtLeast('5.15', '6.6'));
  assert.ok(isVersionAtLeast('6.6', '6.6'));
});

test('missing feature names itself and its version', () => {
  const error = new NotSupportedError('TCX link', { since: '6.6' });
  assert.equal(error.message, 'this kernel does not support TCX link (Linux 6.6)');
});
