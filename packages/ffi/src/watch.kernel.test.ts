import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { close } from './descriptor.ts';
import { isSystemError } from './errors.ts';
import {
  AddressFamily,
  bind,
  getsockname,
  MessageFlag,
  recv,
  SocketLevel,
  SocketOption,
  SocketType,
  sendto,
  setsockopt,
  socket,
} from './socket.ts';
import { internetAddress, netlinkAddress } from './socket-address.ts';
import { watchReadable } from './watch.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

test('readable descriptor calls back on the main loop, and promises made there settle promptly', async () => {
  using pair = datagramSockets();
  const { promise, resolve } = Promise.withResolvers<string>();
  using watch = watchReadable(pair.receiver, () => {
    const buffer = new Uint8Array(16);
    const length = recv(pair.receiver, buffer, MessageFlag.DONTWAIT) ?? 0;
    // Nothing else is going on in this process: without the watch's own care this promise would wait for ever.
    void Promise.resolve().then(() => resolve(Buffer.from(buffer.subarray(0, length)).toString()));
  });
  assert.ok(watch);
  sendto(pair.sender, Buffer.from('hello'), getsockname(pair.receiver));
  assert.equal(await promise, 'hello');
});

test('watch that rests is woken once for all that comes meanwhile', async () => {
  using pair = datagramSockets();
  const bundles: number[] = [];
  const { promise, resolve } = Promise.withResolvers<void>();
  const onReadable = () => {
    let count = 0;
    while (recv(pair.receiver, new Uint8Array(16), MessageFlag.DONTWAIT) !== undefined) count += 1;
    bundles.push(count);
    if (bundles.length === 2) resolve();
  };
  using _watch = watchReadable(pair.receiver, onReadable, { restMs: 300 });
  sendTo(pair);
  while (bundles.length === 0) await delay(1);
  for (let sent = 0; sent < 5; sent += 1) {
    sendTo(pair);
    await delay(1);
  }
  await promise;
  assert.deepEqual(bundles, [1, 5]);
});

test('exception in the callback reaches onError and the watch goes on', async () => {
  using pair = datagramSockets();
  const errors: unknown[] = [];
  let calls = 0;
  const { promise, resolve } = Promise.withResolvers<void>();
  const onReadable = () => {
    recv(pair.receiver, new Uint8Array(16), MessageFlag.DONTWAIT);
    calls += 1;
    if (calls === 2) resolve();
    sendto(pair.sender, Buffer.from('b'), getsockname(pair.receiver));
    throw new Error('callback failed');
  };
  using watch = watchReadable(pair.receiver, onReadable, { onError: (error) => errors.push(error) });
  assert.ok(watch);
  sendto(pair.sender, Buffer.from('a'), getsockname(pair.receiver));
  await promise;
  assert.match(String(errors[0]), /callback failed/);
});

test('overrun netlink socket is still watched after ENOBUFS', async () => {
  const NETLINK_USERSOCK = 2;
  const receiver = socket(AddressFamily.NETLINK, SocketType.RAW, NETLINK_USERSOCK, { nonBlocking: true });
  const sender = socket(AddressFamily.NETLINK, SocketType.RAW, NETLINK_USERSOCK);
  const group = 1;
  bind(receiver, netlinkAddress({ groups: group }));
  bind(sender, netlinkAddress());
  setsockopt(receiver, SocketLevel.SOCKET, SocketOption.RCVBUF, 4096);
  // A multicast goes to one port as well; to the kernel's (0) it would be refused: nobody listens there.
  const portId = new DataView(getsockname(sender).buffer).getUint32(4, true);
  const multicast = () => sendto(sender, new Uint8Array(1024), netlinkAddress({ groups: group, portId }));
  let overruns = 0;
  const drained = Promise.withResolvers<void>();
  const again = Promise.withResolvers<void>();
  const watch = watchReadable(receiver, () => {
    for (;;) {
      try {
        if (recv(receiver, new Uint8Array(2048)) === undefined) break;
        if (overruns > 0) again.resolve();
      } catch (error) {
        if (!isSystemError(error, 'ENOBUFS')) throw error;
        overruns += 1;
      }
    }
    drained.resolve();
  });
  try {
    for (let sent = 0; sent < 20; sent += 1) multicast();
    await drained.promise;
    assert.equal(overruns, 1);
    multicast();
    await again.promise;
  } finally {
    watch[Symbol.dispose]();
    close(receiver);
    close(sender);
  }
});

test('watch that need not keep the process alive lets it end', () => {
  const program = `
    const { socket, watchReadable } = await import(${JSON.stringify(new URL('./index.ts', import.meta.url).href)});
    globalThis.watch = watchReadable(socket(2, 2), () => {}, { keepAlive: false });
  `;
  const result = spawnSync(process.execPath, ['--input-type=module', '--eval', program], { timeout: 20_000 });
  assert.equal(result.status, 0, String(result.stderr));
});

function sendTo({ sender, receiver }: { sender: number; receiver: number }): void {
  sendto(sender, Buffer.from('x'), getsockname(receiver));
}

function datagramSockets(): Disposable & { receiver: number; sender: number } {
  const receiver = socket(AddressFamily.INET, SocketType.DGRAM);
  const sender = socket(AddressFamily.INET, SocketType.DGRAM);
  bind(receiver, internetAddress(LOOPBACK, 0));
  return {
    receiver,
    sender,
    [Symbol.dispose]() {
      close(receiver);
      close(sender);
    },
  };
}
