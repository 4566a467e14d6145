import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import {
  AddressFamily,
  bind,
  close,
  connect,
  getsockname,
  internetAddress,
  isSystemError,
  listen,
  recv,
  SocketType,
  sendto,
  socket,
} from '@sluice/ffi';
import { leakCheck, temporaryBpffs, temporaryCgroup, temporaryNetworkNamespace } from '@sluice/testing';
import { fixture, required } from '../test/fixture.ts';
import { Attributes } from './attributes.ts';
import { readIterator } from './iterator.ts';
import { Command, LinkType } from './kernel-constants.ts';
import { attachCgroup, attachIterator, attachTcx, Link, queryTcx } from './link.ts';
import { loadObject } from './load-object.ts';
import { BpfMap } from './map.ts';
import { AttachType } from './program-type.ts';

const LOOPBACK = Uint8Array.of(127, 0, 0, 1);
const LOOPBACK_IFINDEX = 1;
const loaded = loadObject(fixture('programs'));
after(() => loaded[Symbol.dispose]());
const program = (name: string) => required(loaded.programs, name);

test('classifier sees the packets of its device, and its replacement takes over in the same link', () => {
  using namespace = temporaryNetworkNamespace();
  namespace.run(() => {
    using link = attachTcx({ program: program('classify'), ifindex: LOOPBACK_IFINDEX, hook: 'ingress' });
    const before = packetsSeen();
    assert.ok(datagramArrives());
    assert.ok(packetsSeen() > before);
    assert.deepEqual(link.info(), {
      type: LinkType.tcx,
      id: link.info().id,
      programId: program('classify').info().id,
      attachType: AttachType.tcxIngress,
      ifindex: LOOPBACK_IFINDEX,
      cgroupId: undefined,
    });
    link.update(program('drop'));
    assert.ok(!datagramArrives());
    assert.equal(link.info().programId, program('drop').info().id);
  });
});

test('replacement only of the expected program', () => {
  using namespace = temporaryNetworkNamespace();
  namespace.run(() => {
    using link = attachTcx({ program: program('classify'), ifindex: LOOPBACK_IFINDEX, hook: 'egress' });
    assert.throws(() => link.update(program('drop'), { expected: program('drop') }), { code: 'EPERM' });
    link.update(program('drop'), { expected: program('classify') });
  });
});

test('pinned link goes on without its descriptor, and is updated by who opens it', () => {
  using namespace = temporaryNetworkNamespace();
  using bpffs = temporaryBpffs();
  const path = join(bpffs.path, 'links', 'lo');
  namespace.run(() => {
    {
      using link = attachTcx({ program: program('drop'), ifindex: LOOPBACK_IFINDEX, hook: 'ingress' });
      link.pin(path);
    }
    assert.ok(!datagramArrives());
    using again = Link.openPinned(path);
    again.update(program('classify'));
    assert.ok(datagramArrives());
    again.detach();
    assert.throws(() => again.update(program('drop')), { code: 'ENOLINK' });
  });
});

test('pin of another kind is refused, not misread', () => {
  using bpffs = temporaryBpffs();
  using _leaks = leakCheck();
  const path = join(bpffs.path, 'drop');
  program('drop').pin(path);
  assert.throws(() => Link.openPinned(path), /is no link: anon_inode:bpf-prog/);
  assert.throws(() => BpfMap.openPinned(path), /is no map/);
});

test('closing a link that nobody pinned detaches', () => {
  using namespace = temporaryNetworkNamespace();
  namespace.run(() => {
    {
      using _link = attachTcx({ program: program('drop'), ifindex: LOOPBACK_IFINDEX, hook: 'ingress' });
      assert.ok(!datagramArrives());
    }
    assert.ok(datagramArrives());
  });
});

test('order of the programs on a hook, and the revision that guards it', () => {
  using namespace = temporaryNetworkNamespace();
  namespace.run(() => {
    const at = { ifindex: LOOPBACK_IFINDEX, hook: 'ingress' } as const;
    using first = attachTcx({ ...at, program: program('classify') });
    const { revision } = queryTcx(LOOPBACK_IFINDEX, 'ingress');
    using before = attachTcx({ ...at, program: program('drop'), place: 'before', relativeTo: program('classify') });
    const ids = queryTcx(LOOPBACK_IFINDEX, 'ingress').programs;
    assert.deepEqual(ids, [
      { programId: program('drop').info().id, linkId: before.info().id },
      { programId: program('classify').info().id, linkId: first.info().id },
    ]);
    const stale = () => attachTcx({ ...at, program: program('uses_rows'), expectedRevision: revision });
    assert.throws(stale, { code: 'ESTALE' });
  });
});

test('attaching to a device that is not there names the program and the device', () => {
  const attach = () => attachTcx({ program: program('drop'), ifindex: 99_999, hook: 'ingress' });
  assert.throws(attach, /attach drop to ingress of device 99999: ENODEV/);
});

test('connect hook decides for the sockets of its cgroup, and for no others', () => {
  using _leaks = leakCheck();
  using cgroup = temporaryCgroup();
  const attachType = AttachType.cgroupInet4Connect;
  using link = attachCgroup({ program: program('refuse_connect'), cgroup: cgroup.path, attachType });
  assert.equal(connects(), undefined);
  assert.equal(cgroup.run(connects), 'EPERM');
  link.update(program('allow_connect'));
  assert.equal(cgroup.run(connects), undefined);
  assert.equal(link.info().attachType, attachType);
  assert.ok((link.info().cgroupId ?? 0n) > 0n);
});

test('iterator lists the rows of a map', () => {
  using _leaks = leakCheck();
  const rows = required(loaded.maps, 'rows');
  const write = (key: number, first: number) =>
    new Attributes(32)
      .u32(0, rows.fd)
      .pointer(8, new Uint8Array(Uint32Array.of(key).buffer))
      .pointer(16, new Uint8Array(Uint32Array.of(first, 0).buffer))
      .call(Command.mapUpdateElem, 'write a row');
  write(1, 100);
  write(2, 200);
  using link = attachIterator({ program: program('list_rows'), map: rows });
  const words = new Uint32Array(Uint8Array.from(readIterator(link)).buffer);
  const found = [words.slice(0, 2), words.slice(2, 4)].map((pair) => [...pair]).sort();
  assert.deepEqual(found, [
    [1, 100],
    [2, 200],
  ]);
  assert.throws(() => readIterator(link, { bytesMax: 8 }), RangeError);
});

function packetsSeen(): bigint {
  const bss = required(loaded.maps, '.bss');
  const value = new Uint8Array(bss.info.valueSize);
  new Attributes(32)
    .u32(0, bss.fd)
    .pointer(8, new Uint8Array(4))
    .pointer(16, value)
    .call(Command.mapLookupElem, 'read .bss');
  return new DataView(value.buffer).getBigUint64(0, true);
}

// On loopback a datagram has arrived, or been dropped, when sendto returns.
function datagramArrives(): boolean {
  const receiver = socket(AddressFamily.INET, SocketType.DGRAM, 0, { nonBlocking: true });
  const sender = socket(AddressFamily.INET, SocketType.DGRAM);
  try {
    bind(receiver, internetAddress(LOOPBACK, 0));
    sendto(sender, new Uint8Array(8), getsockname(receiver));
    return recv(receiver, new Uint8Array(8)) !== undefined;
  } finally {
    close(receiver);
    close(sender);
  }
}

function connects(): string | undefined {
  const server = socket(AddressFamily.INET, SocketType.STREAM);
  const client = socket(AddressFamily.INET, SocketType.STREAM);
  try {
    bind(server, internetAddress(LOOPBACK, 0));
    listen(server);
    connect(client, getsockname(server));
    return undefined;
  } catch (error) {
    if (isSystemError(error)) return error.code;
    throw error;
  } finally {
    close(server);
    close(client);
  }
}
