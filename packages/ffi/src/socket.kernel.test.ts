import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, connect as netConnect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { peerCredentials } from './credentials.ts';
import { close } from './descriptor.ts';
import { SystemError } from './errors.ts';
import {
  AddressFamily,
  accept,
  bind,
  connect,
  getpeername,
  getsockname,
  getsockopt,
  listen,
  MessageFlag,
  recv,
  recvfrom,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  socket,
} from './socket.ts';
import { internetAddress, parseInternetAddress } from './socket-address.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

test('connection over loopback: accept, names of both ends, data', () => {
  const server = socket(AddressFamily.INET, SocketType.STREAM, 0, { nonBlocking: true });
  bind(server, internetAddress(LOOPBACK, 0));
  listen(server);
  assert.equal(accept(server), undefined);
  const client = socket(AddressFamily.INET, SocketType.STREAM);
  connect(client, getsockname(server));
  const connection = accept(server);
  assert.ok(connection !== undefined);
  assert.deepEqual(getpeername(connection), getsockname(client));
  sendto(client, Buffer.from('ping'));
  const buffer = new Uint8Array(8);
  assert.equal(recv(connection, buffer), 4);
  assert.equal(Buffer.from(buffer.subarray(0, 4)).toString(), 'ping');
  for (const fd of [server, client, connection]) close(fd);
});

test('empty socket answers undefined, not an error', () => {
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  assert.equal(recv(fd, new Uint8Array(1), MessageFlag.DONTWAIT), undefined);
  close(fd);
});

test('datagram tells its sender, and its whole length also when it is cut', () => {
  const receiver = socket(AddressFamily.INET, SocketType.DGRAM);
  const sender = socket(AddressFamily.INET, SocketType.DGRAM);
  bind(receiver, internetAddress(LOOPBACK, 0));
  sendto(sender, new Uint8Array(100), getsockname(receiver));
  const received = recvfrom(receiver, new Uint8Array(10), MessageFlag.TRUNC);
  assert.equal(received?.length, 100);
  assert.equal(parseInternetAddress(received.address).port, parseInternetAddress(getsockname(sender)).port);
  close(receiver);
  close(sender);
});

test('refused connection carries its errno', () => {
  const fd = socket(AddressFamily.INET, SocketType.STREAM);
  const closed = socket(AddressFamily.INET, SocketType.STREAM);
  bind(closed, internetAddress(LOOPBACK, 0));
  assert.throws(() => connect(fd, getsockname(closed)), { name: 'SystemError', code: 'ECONNREFUSED' });
  close(fd);
  close(closed);
});

test('peer of a unix socket is this process, as the kernel says', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'sluice-ffi-'));
  const server = createServer().listen(join(directory, 'socket'));
  try {
    await once(server, 'listening');
    const client = netConnect(join(directory, 'socket'));
    const [connection]: Socket[] = await once(server, 'connection');
    assert.ok(connection);
    assert.deepEqual(peerCredentials(connection), {
      pid: process.pid,
      uid: process.getuid?.() ?? -1,
      gid: process.getgid?.() ?? -1,
    });
    connection.destroy();
    client.destroy();
    assert.throws(() => peerCredentials(connection), /closed/);
  } finally {
    server.close();
    rmSync(directory, { recursive: true });
  }
});

test('closed descriptor is EBADF with the call’s name', () => {
  const fd = socket(AddressFamily.INET, SocketType.DGRAM);
  close(fd);
  const ask = () => getsockopt(fd, SocketLevel.SOCKET, SocketOption.ERROR, 4);
  assert.throws(
    ask,
    (error) => error instanceof SystemError && error.code === 'EBADF' && error.syscall === 'getsockopt',
  );
});
