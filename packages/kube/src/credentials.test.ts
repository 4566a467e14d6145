import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { fakeClock } from '@sluice/runtime';
import { Credentials, type Proof } from './credentials.ts';
import { testCertificates } from './testing/index.ts';

const { clientCert, clientKey } = testCertificates;
const good: Proof = { cert: clientCert, key: clientKey };
const bad: Proof = { cert: '-----BEGIN CERTIFICATE-----\nnot\n-----END CERTIFICATE-----\n', key: clientKey };
const isBad = { code: 'credentials', message: /the client certificate cannot be used/ };

function credentials(proofSource: (signal: AbortSignal) => Promise<Proof>): Credentials {
  return new Credentials(
    { servers: ['https://127.0.0.1:6443'] },
    { clock: fakeClock(), keepAliveMs: 1_000, proofSource },
  );
}

function given(...proofs: readonly Proof[]) {
  let asked = 0;
  const own = credentials(async () => proofs[asked++] ?? assert.fail('asked too often'));
  return { own, asked: () => asked };
}

test('a certificate that cannot be used is told and not kept: who comes next asks again', async () => {
  const { own, asked } = given(bad, bad, good);
  await assert.rejects(own.ready(undefined), isBad);
  await assert.rejects(own.ready(undefined), isBad);
  await own.ready(undefined);
  await own.ready(undefined);
  assert.equal(asked(), 3);
  assert.equal(own.version, 1);
});

test('a bad certificate in place of a refused one leaves what there was', async () => {
  const { own, asked } = given(good, bad, { ...good, token: 'second' });
  await own.ready(undefined);
  const { version } = own;
  await assert.rejects(own.renew(version, undefined), isBad);
  assert.equal(own.version, version);
  assert.equal(await own.renew(version, undefined), true);
  assert.deepEqual(own.headers(), { authorization: 'Bearer second' });
  assert.equal(asked(), 3);
});

/** Answers when told to. */
function patient() {
  const asked: { readonly signal: AbortSignal; readonly answer: PromiseWithResolvers<Proof> }[] = [];
  const own = credentials((signal) => {
    const answer = Promise.withResolvers<Proof>();
    asked.push({ signal, answer });
    return answer.promise;
  });
  return { own, asked };
}

test('who gives up gives up alone: the others wait for the same answer', async () => {
  const { own, asked } = patient();
  const first = new AbortController();
  const waiting = [own.ready(first.signal), own.ready(undefined), own.ready(new AbortController().signal)];
  first.abort(new Error('enough'));
  await assert.rejects(waiting[0] ?? Promise.resolve(), { code: 'aborted' });
  assert.equal(asked[0]?.signal.aborted, false);
  asked[0]?.answer.resolve({ token: 'secret' });
  await Promise.all(waiting.slice(1));
  assert.equal(asked.length, 1);
  assert.deepEqual(own.headers(), { authorization: 'Bearer secret' });
});

test('when all have given up the question is ended, and the next one is asked anew', async () => {
  const { own, asked } = patient();
  const [first, second] = [new AbortController(), new AbortController()];
  const waiting = [own.ready(first.signal), own.ready(second.signal)];
  for (const each of [first, second]) each.abort();
  for (const each of waiting) await assert.rejects(each, { code: 'aborted' });
  assert.equal(asked[0]?.signal.aborted, true);
  asked[0]?.answer.reject(new Error('ended'));
  await turn();
  const again = own.ready(undefined);
  asked[1]?.answer.resolve({ token: 'secret' });
  await again;
  assert.equal(asked.length, 2);
});

test('who has given up before asks nobody', async () => {
  const { own, asked } = patient();
  await assert.rejects(own.ready(AbortSignal.abort()), { code: 'aborted' });
  assert.equal(asked.length, 0);
});
