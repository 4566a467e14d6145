import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeMessage, MessageReader } from './message.ts';

const fields = fc.array(fc.tuple(fc.stringMatching(/^[a-z_]{1,31}$/), fc.string({ unit: 'grapheme' })), {
  maxLength: 20,
});

test('a message is read whole however it is cut into chunks', () => {
  fc.assert(
    fc.property(fields, fc.integer({ min: 1, max: 50 }), (sent, size) => {
      const bytes = Buffer.from(encodeMessage(sent));
      const reader = new MessageReader();
      for (let offset = 0; offset < bytes.length; offset += size) {
        assert.equal(reader.next(), undefined);
        reader.push(bytes.subarray(offset, offset + size));
      }
      assert.deepEqual(reader.next()?.fields, sent);
    }),
  );
});

test('nonsense is an error or an unfinished message, never a hang or another kind of throw', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const reader = new MessageReader();
      reader.push(bytes);
      try {
        reader.next();
      } catch (error) {
        assert.equal(error instanceof Error && error.name, 'CniError');
      }
    }),
  );
});

for (const [what, bytes] of [
  ['a head without a length', 'key\nvalue\n.\n'],
  ['a length that is not one', 'key -1\n\n.\n'],
  ['a value longer than allowed', 'key 99999999\n'],
  ['a value that does not end', 'key 1\nab\n.\n'],
  ['no line in sight', 'x'.repeat(100)],
] as const) {
  test(`${what} is refused`, () => {
    const reader = new MessageReader();
    reader.push(Buffer.from(bytes));
    assert.throws(() => reader.next(), /does not keep to the protocol/);
  });
}

test('more bytes than a request can have are refused before they are kept', () => {
  const reader = new MessageReader();
  reader.push(Buffer.alloc(1 << 20));
  assert.throws(() => reader.push(Buffer.alloc(1 << 19)), /longer than/);
});

test('bytes that are not UTF-8 are refused by the name of their field', () => {
  const reader = new MessageReader();
  reader.push(Buffer.from([...Buffer.from('CNI_ARGS 1\n'), 0xff, 10, 46, 10]));
  assert.throws(() => reader.next(), /CNI_ARGS is not UTF-8/);
});
