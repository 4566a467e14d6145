import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import {
  AddressError,
  addressCodec,
  addressFromBytes,
  addressFromWire,
  addressToBytes,
  addressToWire,
  compareAddresses,
  familyOf,
  formatAddressPort,
  isAddress,
  parseAddress,
} from './address.ts';

const bytes16 = fc.uint8Array({ minLength: 16, maxLength: 16 });

describe('parseAddress', () => {
  const canonical: readonly (readonly [string, string])[] = [
    ['10.0.0.1', '10.0.0.1'],
    ['::', '::'],
    ['::1', '::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    // The examples of RFC 5952.
    ['2001:0db8::0001', '2001:db8::1'],
    ['2001:db8:0:0:0:0:2:1', '2001:db8::2:1'],
    ['2001:db8::1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'],
    ['2001:DB8::ABCD', '2001:db8::abcd'],
    ['64:ff9b::10.0.0.1', '64:ff9b::a00:1'],
  ];
  for (const [text, expected] of canonical) {
    test(`writes ${text} as ${expected}`, () => assert.equal(parseAddress(text), expected));
  }

  const wrong = ['', '10.0.0', '10.0.0.256', '10.0.0.01', '1.2.3.4.5', ':', ':::', '1::2::3', '1:2:3:4:5:6:7', 'g::'];
  const alsoWrong = [
    '1:2:3:4:5:6:7:8:9',
    '1:2:3:4:5:6:7::8',
    '12345::',
    'fe80::1%eth0',
    ' ::1',
    '1.2.3.4::',
    '10.0.0.1/8',
  ];
  for (const text of [...wrong, ...alsoWrong]) {
    test(`refuses "${text}" and quotes it`, () => {
      assert.throws(
        () => parseAddress(text),
        (error) => error instanceof AddressError && error.message.includes(`"${text}"`),
      );
      assert.equal(isAddress(text), false);
    });
  }

  test('refuses a v4-mapped address in every spelling: it would be a second name', () => {
    for (const text of ['::ffff:10.0.0.1', '::ffff:a00:1', '0:0:0:0:0:FFFF:0A00:0001']) {
      assert.throws(() => parseAddress(text), /IPv4-mapped/);
    }
  });

  test('takes any text without another kind of error', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[0-9a-f:.]{0,50}$/)), (text) => {
        try {
          assert.equal(parseAddress(parseAddress(text)), parseAddress(text));
        } catch (error) {
          assert.ok(error instanceof AddressError);
        }
      }),
    );
  });
});

describe('an address', () => {
  test('of any bytes comes back from its text', () => {
    fc.assert(
      fc.property(bytes16, (bytes) => {
        const address = addressFromBytes(bytes);
        assert.equal(parseAddress(address), address);
        assert.deepEqual(addressToBytes(address), bytes);
      }),
    );
  });

  test('of IPv4 is mapped in the maps and has four bytes on the wire', () => {
    const address = parseAddress('10.1.2.3');
    assert.deepEqual([...addressToBytes(address)], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 1, 2, 3]);
    assert.deepEqual([...addressToWire(address)], [10, 1, 2, 3]);
    assert.equal(addressFromWire(addressToWire(address)), address);
    assert.equal(familyOf(address), 4);
  });

  test('on the wire of IPv6 may not be v4-mapped', () => {
    assert.throws(() => addressFromWire(addressToBytes(parseAddress('10.0.0.1'))), AddressError);
  });

  test('is written and read at an offset; none is all zeros', () => {
    const view = new DataView(new Uint8Array(40).fill(0xaa).buffer);
    addressCodec.encode(parseAddress('fd00::1'), view, 3);
    assert.equal(addressCodec.decode(view, 3), 'fd00::1');
    addressCodec.encode(undefined, view, 20);
    assert.equal(addressCodec.decode(view, 20), undefined);
    assert.equal(view.getUint8(19), 0xaa);
    assert.equal(view.getUint8(36), 0xaa);
  });

  test('with a port has brackets where they are needed', () => {
    assert.equal(formatAddressPort(parseAddress('10.0.0.1'), 80), '10.0.0.1:80');
    assert.equal(formatAddressPort(parseAddress('fd00::1'), 80), '[fd00::1]:80');
  });

  test('sorts by family, then by value and not by text', () => {
    const sorted = ['10.0.0.2', '::2', '10.0.0.10', '::10', '9.0.0.1'].map(parseAddress).sort(compareAddresses);
    assert.deepEqual(sorted, ['9.0.0.1', '10.0.0.2', '10.0.0.10', '::2', '::10']);
  });
});
