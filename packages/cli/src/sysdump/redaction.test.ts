import assert from 'node:assert/strict';
import { test } from 'node:test';
import { REDACTED, redaction } from './redaction.ts';

const canary = 'c4n4ry-0f-th3-c04l-m1n3';
const { object, text } = redaction();
const redactedText = (value: unknown) => JSON.stringify(object(value));

test('values of annotations, data and environment go, whatever they are named; the names stay', () => {
  const pod = {
    metadata: {
      name: 'web',
      annotations: {
        'example.org/note': canary,
        'kubectl.kubernetes.io/last-applied-configuration': `{"x":"${canary}"}`,
      },
      managedFields: [{ fieldsV1: { 'f:data': canary } }],
    },
    spec: { containers: [{ name: 'c', image: 'i', env: [{ name: 'GREETING', value: canary }] }] },
    data: { a: canary },
  };
  const shown = redactedText(pod);
  assert.equal(shown.includes(canary), false);
  for (const name of ['web', 'example.org/note', 'GREETING', '"image":"i"']) assert.ok(shown.includes(name), name);
});

test('a field that is named like a secret loses its value, others keep theirs', () => {
  for (const name of [
    'token',
    'bearerToken',
    'password',
    'client-key-data',
    'apiKey',
    'secretAccessKey',
    'Authorization',
    'cookie',
  ])
    assert.deepEqual(object({ [name]: canary }), { [name]: REDACTED }, name);
  const innocent = {
    netnsCookie: '1',
    key: '10.96.0.1:443/TCP',
    keys: 3,
    spec: { secretName: { nested: 'x' } },
    tokens: [1],
  };
  assert.deepEqual(object(innocent), innocent);
});

test('what has the shape of a secret goes from text', () => {
  for (const line of [
    `--token=${canary}`,
    `run --api-token ${canary}`,
    `password: ${canary}`,
    `{"client_secret": "${canary}"}`,
    `AWS_SECRET_ACCESS_KEY=${canary}`,
    `Authorization: Bearer ${canary}`,
    `https://user:${canary}@proxy.lan/`,
    `eyJhbGciOiJSUzI1NiJ9.${canary}.${canary}`,
    `-----BEGIN RSA PRIVATE KEY-----\n${canary}\n-----END RSA PRIVATE KEY-----`,
    `-----BEGIN PRIVATE KEY-----\n${canary}`,
  ])
    assert.equal(text(line).includes(canary), false, line);
  const innocent = '10.244.0.3 -> 10.96.0.10:53/UDP no_backend, node k8s-cp1: https://10.10.30.10:6443 tokens';
  assert.equal(text(innocent), innocent);
});

test('the word behind an option that is named like a secret goes', () => {
  const args = (secret: string) => ({ args: ['--port', '80', '--token', secret, '--verbose'] });
  assert.deepEqual(object(args(canary)), args(REDACTED));
});

test('a secret that is known goes wherever it stands, also where another one is part of it', () => {
  const given = [canary, `${canary}-and-more`, 'abc'];
  const known = redaction(() => given);
  assert.equal(known.text(`x${canary}-and-more y${canary} abc`), `x${REDACTED} y${REDACTED} abc`);
  assert.deepEqual(known.object({ [canary]: [canary] }), { [REDACTED]: [REDACTED] });
});

test('a long text takes no time to speak of', () => {
  const began = performance.now();
  for (const piece of ['0', 'token', 'eyJ', 'a:', '://a:', '-----BEGIN ']) text(piece.repeat((2 << 20) / piece.length));
  assert.ok(performance.now() - began < 10_000);
});
