// The ring is pinned: it may hold what the programs of another version wrote.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damagedBytes, holds } from '@sluice/testing';
import fc from 'fast-check';
import { decodeEvent } from './events.ts';
import { EventType } from './generated/enums.ts';

const recordBytes = 256;

for (const type of Object.values(EventType)) {
  test(`a record of type ${type} with any content is an event, or refused with what is wrong`, () => {
    const content = fc.uint8Array({ minLength: recordBytes, maxLength: recordBytes });
    const record = content.chain((bytes) => damagedBytes(Uint8Array.from([type, ...bytes])));
    holds(
      fc.property(record, (bytes) => {
        try {
          assert.ok(decodeEvent(new DataView(bytes.buffer)).type.length > 0);
        } catch (error) {
          if (!(error instanceof RangeError)) throw error;
          assert.match(error.message, /bytes, this record|^\d+ is no /);
        }
      }),
      1000,
    );
  });
}
