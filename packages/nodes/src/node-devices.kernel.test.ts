// Needs root.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { type Netlink, openNetlink } from '@sluice/netlink';
import { silentLogger } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { deviceNames } from './device.ts';
import { ensureNodeDevices, hostMac, type NodeDevicesOptions } from './node-devices.ts';

const routers = ['10.244.0.1', 'fd00:10:244::1'].map(parseAddress);

/** A node without a network of its own; `ensure` runs inside, so that /proc/sys is that of the namespace, too. */
function laboratory() {
  const stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace());
  const netlink = stack.use(openNetlink({ namespace: namespace.path }));
  const ensure = (more: Partial<NodeDevicesOptions> = {}) =>
    namespace.run(() =>
      ensureNodeDevices({
        netlink,
        proc: '/proc',
        nodeName: 'k8s-cp1',
        mtu: { underlay: 1500, pod: 1450 },
        tunnelPort: 8472,
        routerAddresses: routers,
        log: silentLogger,
        ...more,
      }),
    );
  const sysctl = (name: string) => namespace.run(() => readFileSync(`/proc/sys/net/${name}`, 'utf8').trim());
  const get = (name: string) => {
    const link = netlink.links.get(name);
    assert.ok(link, `no device ${name}`);
    return link;
  };
  return { netlink, ensure, sysctl, get, [Symbol.dispose]: () => stack.dispose() };
}

test('pair and tunnel stand, up, with their MTUs, and the pair resolves no neighbours', () => {
  using lab = laboratory();
  const devices = lab.ensure();
  const [host, net, overlay] = Object.values(deviceNames).map(lab.get);
  assert.deepEqual(devices, {
    hostIfindex: host?.ifindex,
    netIfindex: net?.ifindex,
    overlayIfindex: overlay?.ifindex,
    hostMac: hostMac('k8s-cp1'),
  });
  assert.deepEqual(
    [host, net, overlay].map((link) => [link?.up, link?.mtu, link?.arp]),
    [
      [true, 1500, false],
      [true, 1500, false],
      [true, 1450, true],
    ],
  );
  assert.equal(host?.mac, hostMac('k8s-cp1'));
  assert.deepEqual(overlay?.vxlan, { id: 0, port: 8472, external: true });
});

test('router addresses are on sluice_host, usable at once, and nothing else is', () => {
  using lab = laboratory();
  const { hostIfindex } = lab.ensure();
  const rows = lab.netlink.addresses.list(hostIfindex);
  assert.deepEqual(
    rows.map((row) => [row.address, row.length, row.tentative]),
    [
      ['10.244.0.1', 32, false],
      ['fd00:10:244::1', 128, false],
    ],
  );
});

test('node forwards both families, our devices filter nothing and invent no addresses', () => {
  using lab = laboratory();
  lab.ensure();
  assert.deepEqual(
    [
      'ipv4/ip_forward',
      'ipv6/conf/all/forwarding',
      'ipv6/conf/sluice_vxlan/addr_gen_mode',
      'ipv6/conf/sluice_host/accept_ra',
    ].map(lab.sysctl),
    ['1', '1', '1', '0'],
  );
  const strictness = Number(lab.sysctl('ipv4/conf/sluice_host/rp_filter'));
  assert.equal(strictness, lab.sysctl('ipv4/conf/all/rp_filter') === '0' ? 0 : 2);
});

test('device that learns its router by advertisement goes on doing so', () => {
  using lab = laboratory();
  lab.netlink.links.create({ kind: 'veth', name: 'eno1', peer: { name: 'far' } });
  assert.equal(lab.sysctl('ipv6/conf/eno1/accept_ra'), '1');
  lab.ensure();
  assert.equal(lab.sysctl('ipv6/conf/eno1/accept_ra'), '2');
});

test('second time nothing is written', () => {
  using lab = laboratory();
  const first = lab.ensure();
  assert.deepEqual(lab.ensure({ netlink: readOnly(lab.netlink) }), first);
});

test('pair that lost its far end comes back with the same MAC', () => {
  using lab = laboratory();
  const before = lab.ensure();
  lab.netlink.links.delete(before.netIfindex);
  const after = lab.ensure();
  assert.notEqual(after.hostIfindex, before.hostIfindex);
  assert.equal(lab.get(deviceNames.host).mac, before.hostMac);
});

test('MTU, MAC and state that somebody changed are put right', () => {
  using lab = laboratory();
  const { hostIfindex, overlayIfindex } = lab.ensure();
  lab.netlink.links.set({ ifindex: hostIfindex, up: false, arp: true });
  lab.netlink.links.set({ ifindex: overlayIfindex, mtu: 1300 });
  lab.ensure({ mtu: { underlay: 9000, pod: 8950 } });
  const { up, arp, mtu } = lab.get(deviceNames.host);
  assert.deepEqual([up, arp, mtu, lab.get(deviceNames.overlay).mtu], [true, false, 9000, 8950]);
  assert.equal(lab.netlink.addresses.list(hostIfindex).length, 2);
});

test('router address of a former pod CIDR goes', () => {
  using lab = laboratory();
  const { hostIfindex } = lab.ensure();
  lab.ensure({ routerAddresses: [parseAddress('10.244.7.1')] });
  assert.deepEqual(
    lab.netlink.addresses.list(hostIfindex).map((row) => row.address),
    ['10.244.7.1'],
  );
});

test('tunnel on another port is made anew', () => {
  using lab = laboratory();
  lab.ensure();
  lab.ensure({ tunnelPort: 8473 });
  assert.equal(lab.get(deviceNames.overlay).vxlan?.port, 8473);
});

test('tunnel of another product on our port is named, with what to do', () => {
  using lab = laboratory();
  lab.netlink.links.create({ kind: 'vxlan', name: 'cilium_vxlan', port: 8472, external: true, up: true });
  assert.throws(() => lab.ensure(), {
    name: 'NodeDeviceError',
    message: /^device cilium_vxlan has UDP port 8472, where our tunnel must be: remove what made it, or set tunnelPort/,
  });
});

test('device that has our name but is of another kind is not ours to delete', () => {
  using lab = laboratory();
  lab.netlink.links.create({ kind: 'bridge', name: deviceNames.host });
  assert.throws(() => lab.ensure(), {
    name: 'NodeDeviceError',
    message: /sluice_host is not ours \(bridge instead of veth\)/,
  });
  assert.equal(lab.get(deviceNames.host).kind, 'bridge');
});

/** The same namespace, where any write fails the test. */
function readOnly(netlink: Netlink): Netlink {
  const refuse = (): never => assert.fail('nothing should be written');
  return {
    ...netlink,
    links: { ...netlink.links, create: refuse, set: refuse, delete: refuse },
    addresses: { ...netlink.addresses, add: refuse, delete: refuse },
  };
}
