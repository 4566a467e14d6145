import assert from 'node:assert/strict';
import { test } from 'node:test';
import { errnoName, isSystemError, SystemError } from './errors.ts';

test('error carries the errno as number and name, and says what was attempted', () => {
  const error = new SystemError('bind', 98, 'family 16');
  assert.equal(error.code, 'EADDRINUSE');
  assert.equal(error.errno, 98);
  assert.equal(error.syscall, 'bind');
  assert.equal(error.message, 'bind family 16: EADDRINUSE');
});

test('numbers with two names get the usual one', () => {
  assert.equal(errnoName(11), 'EAGAIN');
});

test('numbers that only the kernel knows are named, unknown ones stay numbers', () => {
  assert.equal(errnoName(524), 'ENOTSUPP');
  assert.equal(errnoName(4000), 'errno 4000');
});

test('errors are recognised by their codes', () => {
  assert.ok(isSystemError(new SystemError('open', 2), 'EACCES', 'ENOENT'));
  assert.ok(!isSystemError(new SystemError('open', 2), 'EACCES'));
  assert.ok(!isSystemError(new Error('ENOENT'), 'ENOENT'));
});
