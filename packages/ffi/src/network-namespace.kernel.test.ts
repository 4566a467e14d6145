import assert from 'node:assert/strict';
import { mkdtempSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { close } from './descriptor.ts';
import { createNetworkNamespace, inNetworkNamespace, removeNetworkNamespace } from './network-namespace.ts';
import { AddressFamily, getsockopt, SocketLevel, SocketOption, SocketType, socket } from './socket.ts';

let directory: string;
let namespace: string;

before(() => {
  directory = mkdtempSync(join(tmpdir(), 'sluice-ffi-'));
  namespace = join(directory, 'net');
  createNetworkNamespace(namespace);
});

after(() => {
  removeNetworkNamespace(namespace);
  rmSync(directory, { recursive: true });
});

test('section runs inside the namespace and the thread is home again afterwards', () => {
  const home = ownNamespace();
  assert.notEqual(inNetworkNamespace(namespace, ownNamespace), home);
  assert.equal(ownNamespace(), home);
});

test('socket made in the section belongs to the namespace for its life', () => {
  const inside = inNetworkNamespace(namespace, () => socket(AddressFamily.INET, SocketType.DGRAM));
  const outside = socket(AddressFamily.INET, SocketType.DGRAM);
  assert.notDeepEqual(cookie(inside), cookie(outside));
  close(inside);
  close(outside);
});

test('exception of the section comes out, with the thread home again', () => {
  const home = ownNamespace();
  const failing = () => {
    throw new RangeError('section failed');
  };
  assert.throws(() => inNetworkNamespace(namespace, failing), RangeError);
  assert.equal(ownNamespace(), home);
});

test('section that returns a promise is refused', () => {
  assert.throws(() => inNetworkNamespace(namespace, () => Promise.resolve()), /must be synchronous/);
});

test('missing namespace is an error that names it', () => {
  assert.throws(() => inNetworkNamespace(join(directory, 'absent'), ownNamespace), /ENOENT.*absent/);
});

test('file that is no namespace is refused by name', () => {
  assert.throws(() => inNetworkNamespace('/proc/version', ownNamespace), /\/proc\/version: EINVAL/);
});

test('namespace is made once, and its removal may be repeated', () => {
  assert.throws(() => createNetworkNamespace(namespace), { code: 'EEXIST' });
  const other = join(directory, 'other');
  createNetworkNamespace(other);
  removeNetworkNamespace(other);
  removeNetworkNamespace(other);
  assert.throws(() => inNetworkNamespace(other, ownNamespace), { code: 'ENOENT' });
});

function ownNamespace(): string {
  return readlinkSync('/proc/thread-self/ns/net');
}

function cookie(fd: number): Uint8Array {
  return getsockopt(fd, SocketLevel.SOCKET, SocketOption.NETNS_COOKIE, 8);
}
