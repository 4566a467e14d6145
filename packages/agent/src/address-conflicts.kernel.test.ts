// Needs root: network namespaces and packet sockets.
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { parseAddress, parseMac } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import type { Device, DeviceAddress } from '@sluice/nodes';
import { fakeClock, recordingLogger, systemClock } from '@sluice/runtime';
import { Controllers, Table } from '@sluice/state';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { AddressConflicts } from './address-conflicts.ts';

const strangerMac = parseMac('02:00:00:00:00:99');

/** A node with eno1, whose other end is a stranger's device. Sockets are opened where `look` is called. */
function lan() {
  const stack = new DisposableStack();
  const node = stack.use(temporaryNetworkNamespace());
  const stranger = stack.use(temporaryNetworkNamespace());
  const netlink = stack.use(openNetlink({ namespace: node.path }));
  const theirs = stack.use(openNetlink({ namespace: stranger.path }));
  const namespaceFd = openSync(stranger.path, 'r');
  netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'eth0', mac: strangerMac, namespaceFd } });
  closeSync(namespaceFd);
  const eno1 = netlink.links.get('eno1');
  const eth0 = theirs.links.get('eth0');
  assert.ok(eno1 && eth0);
  netlink.links.set({ ifindex: eno1.ifindex, up: true });
  theirs.links.set({ ifindex: eth0.ifindex, up: true });
  const address = parseAddress('10.10.30.101');
  netlink.addresses.add({ ifindex: eno1.ifindex, address, length: 24 });
  const devices = new Table<Device>({ name: 'devices', key: (row) => row.name, columns: {} });
  const addresses = new Table<DeviceAddress>({ name: 'addresses', key: (row) => row.address, columns: {} });
  const device = { name: 'eno1', ifindex: eno1.ifindex, mtu: 1500, kind: 'veth', up: true, selected: true, why: '' };
  devices.upsert({ ...device, addresses: [address], sources: [address] } as Device);
  const log = recordingLogger();
  const controllers = new Controllers(fakeClock());
  const conflicts = new AddressConflicts({
    nodes: { devices, addresses },
    netlink,
    controllers,
    clock: systemClock,
    log,
  });
  return {
    conflicts,
    addresses,
    log,
    async look() {
      let looking: Promise<void> | undefined;
      // Its socket is opened before it waits for anything.
      node.run(() => {
        looking = conflicts.look();
      });
      await looking;
    },
    claim: (text: string) => theirs.addresses.add({ ifindex: eth0.ifindex, address: parseAddress(text), length: 24 }),
    leave: (text: string) =>
      theirs.addresses.delete({ ifindex: eth0.ifindex, address: parseAddress(text), length: 24 }),
    [Symbol.dispose]: () => stack.dispose(),
  };
}

test('an IPv4 address that somebody else on the LAN has is told with the claimant, until it is gone', async () => {
  using it = lan();
  await it.look();
  assert.deepEqual(it.conflicts.list(), []);
  it.claim('10.10.30.102');
  await it.look();
  assert.deepEqual(it.conflicts.list(), [], 'another address is nobody to complain of');
  it.claim('10.10.30.101');
  await it.look();
  await it.look();
  assert.deepEqual(it.conflicts.list(), [
    '10.10.30.101 of eno1 is claimed by 02:00:00:00:00:99 on the LAN, too: one of the two must get another address',
  ]);
  assert.equal(it.log.lines.length, 1, 'said once');
  it.leave('10.10.30.101');
  await it.look();
  assert.deepEqual(it.conflicts.list(), []);
});

test('an IPv6 address that the kernel found to be a duplicate is told', () => {
  using it = lan();
  const row = { device: 'eno1', address: parseAddress('fd00::1'), length: 64, scope: 'global' };
  it.addresses.upsert({ ...row, marks: ['tentative', 'duplicate'] });
  assert.deepEqual(it.conflicts.list(), [
    "fd00::1 of eno1 is somebody else's on the LAN, too: the kernel does not use it",
  ]);
});
