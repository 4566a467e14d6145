import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Errno } from '@sluice/ffi';
import { writeRow } from './row-write.ts';

/** Refuses so many times; what is written, and how long was waited for it. */
function write(refusals: readonly number[]) {
  const left = [...refusals];
  let [attempts, waitedMs] = [0, 0];
  const result = writeRow(
    () => {
      attempts += 1;
      return left.shift() ?? 0;
    },
    {
      pause(ms) {
        waitedMs += ms;
      },
    },
  );
  return { result, attempts, waitedMs };
}

const refused = (times: number) => Array.from({ length: times }, () => -Errno.ENOMEM);

test('a row that the kernel has no memory for at once is written when it has', () => {
  assert.deepEqual(write(refused(3)), { result: 0, attempts: 4, waitedMs: 3 });
});

test('who gets no memory for a second is told so', () => {
  assert.deepEqual(write(refused(5_000)), { result: -Errno.ENOMEM, attempts: 1_000, waitedMs: 999 });
});

test('any other refusal is told at once', () => {
  assert.deepEqual(write([-Errno.E2BIG]), { result: -Errno.E2BIG, attempts: 1, waitedMs: 0 });
});
