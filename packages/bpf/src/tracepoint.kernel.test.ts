import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { AddressFamily, bind, close, getsockname, internetAddress, SocketType, sendto, socket } from '@sluice/ffi';
import { leakCheck, temporaryBpffs, temporaryNetworkNamespace } from '@sluice/testing';
import { fixture, required } from '../test/fixture.ts';
import { Attributes } from './attributes.ts';
import { readKernelBtf } from './kernel-btf.ts';
import { Command, LinkType } from './kernel-constants.ts';
import { attachTracepoint, Link } from './link.ts';
import { type LoadedObject, loadObject } from './load-object.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);

test('a program at a typed tracepoint reads the kernel types of its arguments', () => {
  using _leaks = leakCheck();
  using object = loadObject(fixture('tracing'));
  using namespace = temporaryNetworkNamespace();
  using link = attachTracepoint(required(object.programs, 'count_dropped'));
  assert.equal(link.info().type, LinkType.rawTracepoint);
  const before = seen(object).dropped;
  namespace.run(sendToClosedPort);
  const { dropped, reason } = seen(object);
  assert.ok(dropped > before);
  assert.equal(reason, reasonNumber('SKB_DROP_REASON_NO_SOCKET'));
});

test('it goes on as long as its link is pinned, without any descriptor', () => {
  using object = loadObject(fixture('tracing'));
  using namespace = temporaryNetworkNamespace();
  using bpffs = temporaryBpffs();
  const path = join(bpffs.path, 'tracing');
  {
    using link = attachTracepoint(required(object.programs, 'count_dropped'));
    link.pin(path);
  }
  const before = seen(object).dropped;
  namespace.run(sendToClosedPort);
  assert.ok(seen(object).dropped > before);
  using link = Link.openPinned(path);
  assert.equal(link.info().programId, required(object.programs, 'count_dropped').info().id);
});

function sendToClosedPort(): void {
  const closed = socket(AddressFamily.INET, SocketType.DGRAM);
  const sender = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    bind(closed, internetAddress(LOOPBACK, 0));
    const address = getsockname(closed);
    close(closed);
    sendto(sender, new Uint8Array(8), address);
  } finally {
    close(sender);
  }
}

function seen(object: LoadedObject): { dropped: bigint; reason: number } {
  const bss = required(object.maps, '.bss');
  const value = new Uint8Array(bss.info.valueSize);
  new Attributes(32)
    .u32(0, bss.fd)
    .pointer(8, new Uint8Array(4))
    .pointer(16, value)
    .call(Command.mapLookupElem, 'read .bss');
  const view = new DataView(value.buffer);
  return { dropped: view.getBigUint64(0, true), reason: view.getUint32(8, true) };
}

function reasonNumber(name: string): number {
  using btf = readKernelBtf();
  const [id = 0] = btf.find('skb_drop_reason', ['enum']);
  const type = btf.type(id);
  if (type.kind !== 'enum') throw new Error('the kernel has no enum skb_drop_reason');
  return Number(type.values.find((value) => value.name === name)?.value);
}
