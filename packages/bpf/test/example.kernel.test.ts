import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { AddressFamily, bind, close, getsockname, internetAddress, SocketType, sendto, socket } from '@sluice/ffi';
import { compileBpf, leakCheck, temporaryDirectory, temporaryNetworkNamespace } from '@sluice/testing';
import { countPackets } from './example/count.ts';

const LOOPBACK_IFINDEX = 1;
// ETH_P_IP in wire order, as the kernel keeps it.
const IPV4 = 0x0008;

test('example of the README counts packets', () => {
  using _leaks = leakCheck();
  using directory = temporaryDirectory();
  using namespace = temporaryNetworkNamespace();
  const object = join(directory.path, 'count.o');
  writeFileSync(object, compileBpf(join(import.meta.dirname, 'example/count.bpf.c')));
  namespace.run(() => {
    using counter = countPackets(object, LOOPBACK_IFINDEX);
    assert.equal(counter.counts().get(IPV4), undefined);
    sendDatagrams(5);
    assert.equal(counter.counts().get(IPV4), 5n);
  });
});

test('README shows the example as it is run', () => {
  const readme = readFileSync(join(import.meta.dirname, '../README.md'), 'utf8');
  for (const file of ['count.bpf.c', 'count.ts']) {
    const source = readFileSync(join(import.meta.dirname, 'example', file), 'utf8');
    assert.ok(readme.includes(source), `${file} differs from README.md`);
  }
});

function sendDatagrams(count: number): void {
  const receiver = socket(AddressFamily.INET, SocketType.DGRAM);
  const sender = socket(AddressFamily.INET, SocketType.DGRAM);
  bind(receiver, internetAddress(Uint8Array.of(127, 0, 0, 1), 0));
  for (let sent = 0; sent < count; sent += 1) sendto(sender, new Uint8Array(8), getsockname(receiver));
  close(receiver);
  close(sender);
}
