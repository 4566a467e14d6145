import assert from 'node:assert/strict';
import { test } from 'node:test';
import { failureOf } from './verdict.ts';

const answered = { outcome: 'answered', by: 'host=web', seen: '10.244.0.5', peer: '10.96.0.50:80' } as const;
const outcome = (stdout: string, exitCode = 0) => ({ exitCode, stdout, stderr: '' });
const line = (changes: { host?: string; peer?: string; from?: string } = {}): string =>
  `ok 1 ms=0.31 local=10.244.0.5:40000 peername=10.96.0.50:80 from=${changes.from ?? '10.96.0.50:80'} ` +
  `answer: host=${changes.host ?? 'web'} node=n1 peer=${changes.peer ?? '10.244.0.5:40000'} local=10.244.1.7:8080 data=1\n`;

test('an answer by the right pod that saw the right client passes', () => {
  assert.equal(failureOf(answered, outcome(line())), undefined);
});

test('an answer by another pod fails and names who answered', () => {
  assert.match(failureOf(answered, outcome(line({ host: 'other' }))) ?? '', /not answered by host=web: .*host=other/);
});

test('a server that saw another source address fails', () => {
  assert.match(failureOf(answered, outcome(line({ peer: '10.10.30.101:40000' }))) ?? '', /saw 10\.10\.30\.101:40000/);
});

test('a client that sees the backend instead of the service fails', () => {
  assert.match(failureOf(answered, outcome(line({ from: '10.244.1.7:8080' }))) ?? '', /talks to 10\.244\.1\.7:8080/);
});

test('no answer fails with what the client said', () => {
  const failed = 'failed 1 after 2000 ms: connect: Connection timed out\n';
  assert.equal(failureOf(answered, outcome(failed, 1)), failed.trim());
  assert.match(
    failureOf(answered, { exitCode: 126, stdout: '', stderr: 'no such file' }) ?? '',
    /status 126: no such file/,
  );
});

test('only a refusal is a refusal', () => {
  assert.equal(
    failureOf({ outcome: 'refused' }, outcome('failed 1 after 0.1 ms: connect: Connection refused\n', 1)),
    undefined,
  );
  assert.match(failureOf({ outcome: 'refused' }, outcome(line())) ?? '', /expected to be refused/);
  assert.match(
    failureOf({ outcome: 'refused' }, outcome('failed 1 after 2000 ms: connect: Connection timed out\n', 1)) ?? '',
    /timed out/,
  );
});
