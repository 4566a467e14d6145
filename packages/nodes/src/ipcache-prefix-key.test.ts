import assert from 'node:assert/strict';
import { test } from 'node:test';
import { familyOf, formatPrefix, parseAddress, prefixOf } from '@sluice/net';
import fc from 'fast-check';
import { keyToText, prefixToKey, textToKey } from './ipcache-prefix-key.ts';

test('IPv4 prefix counts 96 bits more, because addresses are mapped into IPv6', () => {
  assert.deepEqual(textToKey('10.244.1.0/24'), { address: '10.244.1.0', prefixLength: 120 });
  assert.deepEqual(textToKey('fd00:10:244::/64'), { address: 'fd00:10:244::', prefixLength: 64 });
});

test('any prefix of either family survives the way into the map and back', () => {
  const address = fc.oneof(fc.ipV4(), fc.ipV6()).map((text) => {
    try {
      return parseAddress(text);
    } catch {
      // What fast-check writes and we have no text for: v4-mapped addresses.
      return parseAddress('::1');
    }
  });
  fc.assert(
    fc.property(address, fc.nat(128), (any, length) => {
      const prefix = prefixOf(any, Math.min(length, familyOf(any) === 4 ? 32 : 128));
      const text = formatPrefix(prefix);
      assert.equal(keyToText(textToKey(text)), text);
      assert.equal(textToKey(text).prefixLength, prefixToKey(prefix).prefixLength);
    }),
  );
});
