// Needs root.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAddress, parsePrefix } from '@sluice/net';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { type Change, type Netlink, openNetlink, type Topic } from './index.ts';

const veth = { kind: 'veth', name: 'left', peer: { name: 'right' }, up: true } as const;

/** Collects changes; `reported` resolves with them as soon as they are enough. */
function collect(netlink: Netlink, topics: readonly Topic[], enough: (changes: readonly Change[]) => boolean) {
  const { promise, resolve, reject } = Promise.withResolvers<readonly Change[]>();
  const seen: Change[] = [];
  const subscription = netlink.subscribe({
    topics,
    keepAlive: true,
    onError: reject,
    onChanges(changes) {
      seen.push(...changes);
      if (enough(seen)) resolve(seen);
    },
  });
  return { reported: promise, [Symbol.dispose]: () => subscription[Symbol.dispose]() };
}

test('new and removed links, addresses and routes of the other namespace are reported', async () => {
  using namespace = temporaryNetworkNamespace();
  using netlink = openNetlink({ namespace: namespace.path });
  const removedLeft = (change: Change) => change.topic === 'links' && change.removed && change.row.name === 'left';
  using collection = collect(netlink, ['links', 'addresses', 'routes'], (changes) => changes.some(removedLeft));
  const { ifindex } = netlink.links.create(veth);
  netlink.addresses.add({ ifindex, address: parseAddress('10.0.0.1'), length: 32 });
  netlink.routes.replace({ destination: parsePrefix('10.244.0.0/16'), ifindex });
  netlink.links.delete(ifindex);
  const changes = await collection.reported;
  const has = (found: (change: Change) => boolean) => assert.equal(changes.some(found), true, found.toString());
  has((change) => change.topic === 'links' && !change.removed && change.row.name === 'right');
  has((change) => change.topic === 'addresses' && !change.removed && change.row.address === '10.0.0.1');
  has((change) => change.topic === 'routes' && !change.removed && change.row.destination.length === 16);
});

test('forwarding that somebody switches is reported, for all devices and of both families', async () => {
  using namespace = temporaryNetworkNamespace();
  using netlink = openNetlink({ namespace: namespace.path });
  const isForAll = (family: 4 | 6) => (change: Change) =>
    change.topic === 'settings' && change.row.family === family && change.row.ifindex === -1;
  const both = (changes: readonly Change[]) => changes.some(isForAll(4)) && changes.some(isForAll(6));
  using collection = collect(netlink, ['settings'], both);
  namespace.run(() => {
    writeFileSync('/proc/sys/net/ipv4/ip_forward', '1');
    writeFileSync('/proc/sys/net/ipv6/conf/all/forwarding', '1');
  });
  await collection.reported;
});

test('flood that does not fit the socket is answered with missed, and later changes still come', async () => {
  using namespace = temporaryNetworkNamespace();
  using netlink = openNetlink({ namespace: namespace.path });
  const { ifindex } = netlink.links.create(veth);
  const last = (change: Change) => change.topic === 'links' && change.row.name === 'after';
  let flooded = false;
  using collection = collect(netlink, ['links', 'routes'], (changes) => {
    const missed = changes.some((change) => change.topic === 'missed');
    if (missed && !flooded) netlink.links.create({ ...veth, name: 'after', peer: { name: 'peer' } });
    flooded ||= missed;
    return changes.some(last);
  });
  // All in one turn of the loop, so nobody reads in between: about 3 MB of notifications for a socket of 1 MB.
  for (let n = 0; n < 8000; n++) {
    netlink.routes.replace({ destination: parsePrefix(`10.${n >> 8}.${n & 255}.0/24`), ifindex });
  }
  const changes = await collection.reported;
  assert.equal(
    changes.some((change) => change.topic === 'missed'),
    true,
  );
  assert.equal(changes.some(last), true);
});
