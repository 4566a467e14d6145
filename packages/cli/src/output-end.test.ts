import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import { watchOutput } from './output-end.ts';

function failing(code: string) {
  const out = new PassThrough();
  const stop = new AbortController();
  const said: string[] = [];
  const err = new PassThrough();
  err.on('data', (text) => said.push(String(text)));
  const end = watchOutput(out, err, stop);
  // Nobody reads it any more: no reason to end.
  err.emit('error', Object.assign(new Error('EPIPE: write'), { code: 'EPIPE' }));
  const before = { exitCode: end.exitCode, aborted: stop.signal.aborted };
  const fail = () => out.emit('error', Object.assign(new Error(`${code}: write`), { code }));
  fail();
  fail();
  return { before, exitCode: end.exitCode, aborted: stop.signal.aborted, said: said.join('') };
}

test('a reader that has enough ends the command without a word', () => {
  const { before, ...after } = failing('EPIPE');
  assert.deepEqual(before, { exitCode: undefined, aborted: false });
  assert.deepEqual(after, { exitCode: 141, aborted: true, said: '' });
});

test('an output that cannot be written is told once', () => {
  const { exitCode, aborted, said } = failing('ENOSPC');
  assert.deepEqual(
    { exitCode, aborted, said },
    { exitCode: 1, aborted: true, said: 'sluice: write to the standard output: ENOSPC: write\n' },
  );
});
