import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashed } from './proxy-service.ts';

test('names are as kube-proxy hashes them: those of its own documentation and tests', () => {
  assert.equal(hashed('ns1/svc1/tcp/p80', 8), 'ULMVA6XW');
  assert.equal(hashed('ns1/svc1/tcp/p80__10.180.0.1/80', 8), '5OJB2KTY');
  assert.equal(hashed('ns1/svc1:p80tcp', 16), 'XPGD46QRK7WJZT7O');
  assert.equal(hashed('ns1/svc1:p80tcp10.180.0.1:80', 16), 'SXIVWICOYRO3J4NJ');
});
