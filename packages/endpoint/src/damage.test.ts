// A state file may come from a newer agent, or half of it from a full disk: it is read whole, or refused.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { damagedJson, damagedText, holds } from '@sluice/testing';
import fc from 'fast-check';
import { endpoint } from '../test/endpoints.ts';
import { formatEndpoint, parseEndpoint } from './endpoint-file.ts';

const whole = formatEndpoint(endpoint(1, 'c1'));

function isWholeOrRefused(text: string): void {
  let read: ReturnType<typeof parseEndpoint>;
  try {
    read = parseEndpoint(text);
  } catch (error) {
    assert.ok(error instanceof Error && error.message.length > 0);
    return;
  }
  assert.deepEqual(parseEndpoint(formatEndpoint(read)), read);
}

test('an endpoint file with other parts in it is read whole or refused', () => {
  holds(
    fc.property(damagedJson(JSON.parse(whole)), (damaged) => isWholeOrRefused(JSON.stringify(damaged) ?? '')),
    1000,
  );
});

test('an endpoint file with pieces missing, doubled or replaced is read whole or refused', () => {
  holds(fc.property(damagedText(whole), isWholeOrRefused), 1000);
});
