import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { AddressError, addressFromBytes, familyOf, parseAddress } from './address.ts';
import { parseMac } from './mac.ts';
import {
  formatPrefix,
  hostPrefix,
  parsePrefix,
  prefixAddressAt,
  prefixContains,
  prefixesOverlap,
  prefixIndexOf,
  prefixOf,
  prefixSize,
} from './prefix.ts';

describe('parsePrefix', () => {
  test('takes both families', () => {
    assert.deepEqual(parsePrefix('10.0.0.0/8'), { address: '10.0.0.0', length: 8 });
    assert.deepEqual(parsePrefix('FD00:0::/64'), { address: 'fd00::', length: 64 });
    assert.deepEqual(parsePrefix('0.0.0.0/0'), { address: '0.0.0.0', length: 0 });
  });

  test('refuses bits behind the prefix and says what was meant, unless lenient', () => {
    assert.throws(() => parsePrefix('10.0.0.1/8'), /did you mean 10\.0\.0\.0\/8\?/);
    assert.deepEqual(parsePrefix('10.0.0.1/8', { lenient: true }), { address: '10.0.0.0', length: 8 });
  });

  for (const text of [
    '10.0.0.0',
    '10.0.0.0/33',
    'fd00::/129',
    '10.0.0.0/-1',
    '10.0.0.0/8/8',
    '/8',
    '10.0.0.0/',
    'x/8',
  ]) {
    test(`refuses "${text}"`, () => assert.throws(() => parsePrefix(text), AddressError));
  }
});

describe('a prefix', () => {
  const pods = parsePrefix('10.244.1.0/24');

  test('contains its own addresses and none of the other family', () => {
    assert.equal(prefixContains(pods, parseAddress('10.244.1.255')), true);
    assert.equal(prefixContains(pods, parseAddress('10.244.2.0')), false);
    assert.equal(prefixContains(parsePrefix('::/0'), parseAddress('10.0.0.1')), false);
  });

  test('counts its addresses', () => {
    assert.equal(prefixSize(pods), 256n);
    assert.equal(prefixSize(parsePrefix('fd00::/64')), 1n << 64n);
    assert.equal(prefixAddressAt(pods, 1), '10.244.1.1');
    assert.equal(prefixAddressAt(parsePrefix('fd00::/64'), (1n << 64n) - 1n), 'fd00::ffff:ffff:ffff:ffff');
    assert.throws(() => prefixAddressAt(pods, 256), RangeError);
    assert.throws(() => prefixAddressAt(pods, -1), RangeError);
  });

  test('overlaps what holds it and what it holds', () => {
    assert.equal(prefixesOverlap(pods, parsePrefix('10.244.0.0/16')), true);
    assert.equal(prefixesOverlap(parsePrefix('10.244.0.0/16'), pods), true);
    assert.equal(prefixesOverlap(pods, parsePrefix('10.244.0.0/24')), false);
  });

  test('holds an address when the prefix of that length around it is the same', () => {
    const octet = fc.constantFrom(0, 1, 127, 128, 255);
    const ipv4 = fc.array(octet, { minLength: 4, maxLength: 4 }).map((bytes) => parseAddress(bytes.join('.')));
    const group = fc.constantFrom('0', '1', '7fff', '8000', 'ffff');
    const ipv6 = fc
      .array(group, { minLength: 7, maxLength: 7 })
      .map((groups) => parseAddress(`fd00:${groups.join(':')}`));
    fc.assert(
      fc.property(fc.oneof(fc.tuple(ipv4, ipv4), fc.tuple(ipv6, ipv6)), fc.nat(128), ([one, other], bits) => {
        const length = Math.min(bits, familyOf(one) === 4 ? 32 : 128);
        const prefix = prefixOf(one, length);
        assert.equal(prefixContains(prefix, other), prefixOf(other, length).address === prefix.address);
      }),
    );
  });

  test('of one address holds that one', () => {
    assert.equal(formatPrefix(hostPrefix(parseAddress('fd00::1'))), 'fd00::1/128');
  });

  test('finds each address at the index that it has', () => {
    const bytes = fc.uint8Array({ minLength: 16, maxLength: 16 }).filter((value) => value.some((byte) => byte > 0xf));
    fc.assert(
      fc.property(bytes, fc.nat(128), (value, bits) => {
        const address = addressFromBytes(value);
        const prefix = prefixOf(address, address.includes(':') ? bits : bits % 33);
        assert.ok(prefixContains(prefix, address));
        assert.equal(prefixAddressAt(prefix, prefixIndexOf(prefix, address)), address);
        assert.deepEqual(parsePrefix(formatPrefix(prefix)), prefix);
      }),
    );
  });
});

test('an Ethernet address is lower case with colons, and nothing else is one', () => {
  assert.equal(parseMac('02-AB-00-00-00-0F'), '02:ab:00:00:00:0f');
  for (const text of ['', '02:ab:00:00:00', '02:ab:00:00:00:0g', '02:ab-00:00:00:00', '02ab00000000']) {
    assert.throws(() => parseMac(text), AddressError);
  }
});
