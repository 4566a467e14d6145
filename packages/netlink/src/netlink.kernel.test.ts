// Needs root. The oracle is `ip -j`, of Debian's iproute2.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { test } from 'node:test';
import { inNetworkNamespace } from '@sluice/ffi';
import { parseAddress, parseMac, parsePrefix } from '@sluice/net';
import { setOffload, temporaryNetworkNamespace } from '@sluice/testing';
import { openNetlink, routeProtocol } from './index.ts';

type Row = Record<string, unknown>;

function ip(namespace: string, ...command: string[]): Row[] {
  const output = execFileSync('nsenter', [`--net=${namespace}`, 'ip', '-j', '-d', ...command], { encoding: 'utf8' });
  return output.trim() === '' ? [] : JSON.parse(output).filter((row: Row) => Object.keys(row).length > 0);
}

/** A nested object or list of ip's, empty where it is missing. */
function inner(row: Row | undefined, name: string): Row {
  return (row?.[name] ?? {}) as Row;
}

function laboratory() {
  const stack = new DisposableStack();
  const namespace = stack.use(temporaryNetworkNamespace()).path;
  const netlink = stack.use(openNetlink({ namespace }));
  return { namespace, netlink, [Symbol.dispose]: () => stack.dispose() };
}

const veth = { kind: 'veth', name: 'left', peer: { name: 'right' }, up: true } as const;

test('veth pair is made as asked and read back as ip sees it', () => {
  using lab = laboratory();
  const mac = parseMac('02:00:00:00:00:aa');
  const left = lab.netlink.links.create({ ...veth, mac, mtu: 1400, arp: false });
  assert.deepEqual(left, lab.netlink.links.get('left'));
  const [seen] = ip(lab.namespace, 'link', 'show', 'left');
  assert.deepEqual(
    [left.ifindex, left.name, left.mtu, left.mac, left.kind, left.arp],
    [seen?.ifindex, seen?.ifname, 1400, seen?.address, inner(seen, 'linkinfo').info_kind, false],
  );
  assert.equal(seen?.address, mac);
  assert.deepEqual(JSON.stringify(seen?.flags).includes('NOARP'), true);
  assert.equal(left.peerIfindex, lab.netlink.links.get('right')?.ifindex);
  assert.equal(left.carrier, false);
  lab.netlink.links.set({ ifindex: left.peerIfindex ?? 0, up: true });
  assert.equal(lab.netlink.links.get('left')?.carrier, true);
});

test('vxlan is in external mode on the port', () => {
  using lab = laboratory();
  const link = lab.netlink.links.create({ kind: 'vxlan', name: 'tunnel', port: 8472, external: true, up: true });
  assert.deepEqual(link.vxlan, { id: 0, port: 8472, external: true });
  const data = inner(inner(ip(lab.namespace, 'link', 'show', 'tunnel')[0], 'linkinfo'), 'info_data');
  assert.deepEqual(
    [data.external, data.port, data.learning, data.udp_zero_csum6_tx, data.udp_zero_csum6_rx],
    [true, 8472, false, true, true],
  );
});

test('bridge and its port are read with their master', () => {
  using lab = laboratory();
  const bridge = lab.netlink.links.create({ kind: 'bridge', name: 'lan', up: true });
  const left = lab.netlink.links.create(veth);
  lab.netlink.links.set({ ifindex: left.ifindex, masterIfindex: bridge.ifindex });
  assert.equal(lab.netlink.links.get('left')?.masterIfindex, bridge.ifindex);
  assert.deepEqual(bridge.bridge, { stp: false, vlanFiltering: false });
  lab.netlink.links.set({ ifindex: left.ifindex, masterIfindex: 0 });
  assert.equal(lab.netlink.links.get('left')?.masterIfindex, undefined);
});

test('link list agrees with ip in name, index, MTU, state and MAC', () => {
  using lab = laboratory();
  lab.netlink.links.create(veth);
  lab.netlink.links.create({ kind: 'vxlan', name: 'tunnel', port: 8472, external: true });
  const ours = lab.netlink.links.list().map((link) => [link.ifindex, link.name, link.mtu, link.mac, link.up]);
  const theirs = ip(lab.namespace, 'link').map((row) => [
    row.ifindex,
    row.ifname,
    row.mtu,
    row.address,
    (row.flags as string[]).includes('UP'),
  ]);
  assert.deepEqual(ours, theirs);
});

test('link is renamed, resized, given another MAC, set down and moved to another namespace', () => {
  using lab = laboratory();
  using other = temporaryNetworkNamespace();
  const { ifindex } = lab.netlink.links.create(veth);
  const mac = parseMac('02:00:00:00:00:bb');
  lab.netlink.links.set({ ifindex, up: false });
  lab.netlink.links.set({ ifindex, name: 'eth0', mtu: 1280, mac, up: true });
  const changed = lab.netlink.links.get(ifindex);
  assert.deepEqual([changed?.name, changed?.mtu, changed?.mac, changed?.up], ['eth0', 1280, mac, true]);
  const namespaceFd = openSync(other.path, 'r');
  try {
    lab.netlink.links.set({ ifindex, namespaceFd });
  } finally {
    closeSync(namespaceFd);
  }
  assert.equal(lab.netlink.links.get('eth0'), undefined);
  using inside = openNetlink({ namespace: other.path });
  assert.equal(inside.links.get('eth0')?.mac, mac);
  assert.notEqual(lab.netlink.links.get('right')?.peerNamespaceId, undefined);
});

test('veth peer is born in another namespace', () => {
  using lab = laboratory();
  using other = temporaryNetworkNamespace();
  const namespaceFd = openSync(other.path, 'r');
  try {
    lab.netlink.links.create({ ...veth, peer: { name: 'inside', namespaceFd } });
  } finally {
    closeSync(namespaceFd);
  }
  assert.equal(ip(other.path, 'link', 'show', 'inside').length, 1);
});

test('link is deleted once, the second time it was not there', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  assert.equal(lab.netlink.links.delete(ifindex), true);
  assert.equal(lab.netlink.links.delete(ifindex), false);
  assert.deepEqual(
    ip(lab.namespace, 'link').map((row) => row.ifname),
    ['lo'],
  );
});

test('name that is taken is refused with its errno and the action', () => {
  using lab = laboratory();
  lab.netlink.links.create(veth);
  assert.throws(() => lab.netlink.links.create(veth), { code: 'EEXIST', message: /^create veth left: EEXIST/ });
});

test("refusal carries the kernel's own words", () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const unreachable = { destination: parsePrefix('10.9.0.0/16'), gateway: parseAddress('10.1.2.3'), ifindex };
  assert.throws(() => lab.netlink.routes.replace(unreachable), {
    code: 'ENETUNREACH',
    message: 'set route 10.9.0.0/16: ENETUNREACH: Nexthop has invalid gateway',
  });
});

test('addresses of both families are added, listed as ip lists them, and deleted', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  lab.netlink.addresses.add({ ifindex, address: parseAddress('10.0.0.1'), length: 32, scope: 'link' });
  lab.netlink.addresses.add({ ifindex, address: parseAddress('fd00::1'), length: 128, noDad: true });
  lab.netlink.addresses.add({ ifindex, address: parseAddress('fd00::2'), length: 64, noDad: true, preferred: false });
  const ours = lab.netlink.addresses.list(ifindex).map((row) => `${row.address}/${row.length} ${row.scope}`);
  const theirs = ip(lab.namespace, 'address', 'show', 'left')
    .flatMap((row) => row.addr_info as Row[])
    .map((row) => `${row.local}/${row.prefixlen} ${row.scope}`);
  assert.deepEqual(ours.sort(), theirs.sort());
  const own = lab.netlink.addresses.list(ifindex).filter((row) => row.address.startsWith('fd00'));
  assert.deepEqual(own.map((row) => [row.address, row.tentative, row.deprecated]).sort(), [
    ['fd00::1', false, false],
    ['fd00::2', false, true],
  ]);
  const which = { ifindex, address: parseAddress('10.0.0.1'), length: 32 };
  assert.deepEqual([lab.netlink.addresses.delete(which), lab.netlink.addresses.delete(which)], [true, false]);
});

test('address added twice stays one', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const spec = { ifindex, address: parseAddress('fd00::1'), length: 128, noDad: true };
  lab.netlink.addresses.add(spec);
  lab.netlink.addresses.add(spec);
  assert.equal(lab.netlink.addresses.list(ifindex).filter((row) => row.address === 'fd00::1').length, 1);
});

test('routes of both families carry device, source, MTU and our protocol', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const source4 = parseAddress('10.244.0.1');
  const source6 = parseAddress('fd00:10:244::1');
  lab.netlink.addresses.add({ ifindex, address: source4, length: 32 });
  lab.netlink.addresses.add({ ifindex, address: source6, length: 128, noDad: true });
  lab.netlink.routes.replace({ destination: parsePrefix('10.244.1.0/24'), ifindex, source: source4, mtu: 1450 });
  lab.netlink.routes.replace({ destination: parsePrefix('fd00:10:244:1::/64'), ifindex, source: source6, mtu: 1430 });
  const theirs = [...ip(lab.namespace, '-N', '-4', 'route'), ...ip(lab.namespace, '-N', '-6', 'route')]
    .filter((row) => row.protocol === '83')
    .map((row) => [row.dst, row.dev, row.prefsrc, ((row.metrics as Row[])[0] as Row).mtu]);
  assert.deepEqual(theirs, [
    ['10.244.1.0/24', 'left', source4, 1450],
    ['fd00:10:244:1::/64', 'left', source6, 1430],
  ]);
  const ours = lab.netlink.routes.list({ protocol: routeProtocol.sluice });
  assert.deepEqual(
    ours.map((row) => [row.destination.address, row.ifindex, row.source, row.mtu, row.metric, row.type]),
    [
      ['10.244.1.0', ifindex, source4, 1450, 0, 'unicast'],
      ['fd00:10:244:1::', ifindex, source6, 1430, 1024, 'unicast'],
    ],
  );
});

test('replaced route is still one, with the new MTU', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  for (const text of ['10.244.1.0/24', 'fd00:1::/64']) {
    const destination = parsePrefix(text);
    lab.netlink.routes.replace({ destination, ifindex, mtu: 1450 });
    lab.netlink.routes.replace({ destination, ifindex, mtu: 1400 });
  }
  const ours = lab.netlink.routes.list({ protocol: routeProtocol.sluice });
  assert.deepEqual(
    ours.map((row) => row.mtu),
    [1400, 1400],
  );
});

test("deleting a route spares another protocol's route to the same destination", () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const destination = parsePrefix('10.244.1.0/24');
  lab.netlink.routes.replace({ destination, ifindex, protocol: routeProtocol.static, metric: 50 });
  lab.netlink.routes.replace({ destination, ifindex });
  assert.equal(lab.netlink.routes.delete({ destination }), true);
  assert.equal(lab.netlink.routes.delete({ destination }), false);
  const left = lab.netlink.routes.list({ family: 4 }).filter((row) => row.destination.address === '10.244.1.0');
  assert.deepEqual(
    left.map((row) => [row.protocol, row.metric]),
    [[routeProtocol.static, 50]],
  );
});

test('gateway of the other family, onlink, tables and unreachable routes are set and read', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const gateway = parseAddress('fe80::1');
  lab.netlink.routes.replace({ destination: parsePrefix('10.1.0.0/16'), ifindex, gateway, onlink: true, table: 1000 });
  lab.netlink.routes.replace({ destination: parsePrefix('10.2.0.0/16'), type: 'unreachable' });
  const [via] = lab.netlink.routes.list({ table: 1000 });
  assert.deepEqual([via?.gateway, via?.onlink, via?.table], [gateway, true, 1000]);
  const unreachable = lab.netlink.routes.list({ family: 4 }).find((row) => row.destination.address === '10.2.0.0');
  assert.equal(unreachable?.type, 'unreachable');
  assert.equal(ip(lab.namespace, 'route', 'show', 'table', '1000')[0]?.dst, '10.1.0.0/16');
});

test('multipath route of ip is read with its hops', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  lab.netlink.addresses.add({ ifindex, address: parseAddress('10.0.0.1'), length: 24 });
  const hops = ['nexthop', 'via', '10.0.0.2', 'nexthop', 'via', '10.0.0.3'];
  ip(lab.namespace, 'route', 'add', '10.3.0.0/16', ...hops);
  const route = lab.netlink.routes.list({ family: 4 }).find((row) => row.destination.address === '10.3.0.0');
  assert.deepEqual(route?.hops, [
    { ifindex, gateway: '10.0.0.2' },
    { ifindex, gateway: '10.0.0.3' },
  ]);
});

test('every route that ip prints in every table is in our list', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  lab.netlink.addresses.add({ ifindex, address: parseAddress('10.0.0.1'), length: 24 });
  lab.netlink.addresses.add({ ifindex, address: parseAddress('fd00::1'), length: 64, noDad: true });
  const everything = ['route', 'show', 'table', 'all'];
  const count = ip(lab.namespace, '-4', ...everything).length + ip(lab.namespace, '-6', ...everything).length;
  assert.equal(lab.netlink.routes.list().length, count);
  assert.equal(count > 8, true);
});

test('neighbours are set, read and deleted', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  const mac = parseMac('02:00:00:00:00:cc');
  for (const text of ['10.0.0.9', 'fd00::9'])
    lab.netlink.neighbours.replace({ ifindex, address: parseAddress(text), mac });
  const permanent = ip(lab.namespace, 'neighbour', 'show', 'nud', 'permanent');
  assert.deepEqual(permanent.map((row) => [row.dst, row.lladdr]).sort(), [
    ['10.0.0.9', mac],
    ['fd00::9', mac],
  ]);
  const ours = lab.netlink.neighbours.list({ ifindex }).filter((row) => row.state === 'permanent');
  assert.deepEqual(
    ours.map((row) => [row.address, row.mac]),
    [
      ['10.0.0.9', mac],
      ['fd00::9', mac],
    ],
  );
  const which = { ifindex, address: parseAddress('10.0.0.9') };
  assert.deepEqual([lab.netlink.neighbours.delete(which), lab.netlink.neighbours.delete(which)], [true, false]);
});

test('rules are read with selector, mark and table', () => {
  using lab = laboratory();
  ip(lab.namespace, 'rule', 'add', 'pref', '100', 'from', '10.0.0.0/8', 'fwmark', '0x10/0xf0', 'lookup', '1000');
  const rules = lab.netlink.rules.list();
  const priorities = (family: 4 | 6) => rules.filter((rule) => rule.family === family).map((rule) => rule.priority);
  assert.deepEqual(
    [priorities(4), priorities(6)],
    [
      [0, 100, 32766, 32767],
      [0, 32766],
    ],
  );
  assert.deepEqual(
    rules.find((rule) => rule.priority === 100),
    {
      family: 4,
      priority: 100,
      table: 1000,
      action: 'table',
      source: parsePrefix('10.0.0.0/8'),
      mark: 0x10,
      markMask: 0xf0,
      inverted: false,
    },
  );
});

test('dump of a thousand routes comes in many datagrams and is whole', () => {
  using lab = laboratory();
  const { ifindex } = lab.netlink.links.create(veth);
  for (let n = 0; n < 1000; n++) {
    lab.netlink.routes.replace({ destination: parsePrefix(`10.${n >> 8}.${n & 255}.0/24`), ifindex });
  }
  assert.equal(lab.netlink.routes.list({ protocol: routeProtocol.sluice }).length, 1000);
});

test('a veth takes frames of XDP programs while its other end merges packets', () => {
  using lab = laboratory();
  const left = lab.netlink.links.create(veth);
  const right = lab.netlink.links.get('right');
  assert.ok(right);
  lab.netlink.links.set({ ifindex: right.ifindex, up: true });
  const merge = (on: boolean) => inNetworkNamespace(lab.namespace, () => setOffload('right', 'receiveMerging', on));
  merge(true);
  assert.deepEqual(lab.netlink.links.frameFeatures(left.ifindex), { native: true, takes: true, takesFragments: true });
  merge(false);
  assert.deepEqual(lab.netlink.links.frameFeatures(left.ifindex), {
    native: true,
    takes: false,
    takesFragments: false,
  });
  assert.equal(lab.netlink.links.frameFeatures(left.ifindex + 1000), undefined);
  const loopback = lab.netlink.links.get('lo')?.ifindex ?? 0;
  assert.equal(lab.netlink.links.frameFeatures(loopback)?.native, false);
});

test('filters of tc are read where they are, at clsact and at ingress, of the devices that were asked for', () => {
  using lab = laboratory();
  const left = lab.netlink.links.create(veth);
  const right = lab.netlink.links.get('right');
  const tc = (words: string) => execFileSync('nsenter', [`--net=${lab.namespace}`, 'tc', ...words.split(' ')]);
  const both = new Set([left.ifindex, right?.ifindex ?? 0]);
  assert.deepEqual(lab.netlink.filters.list(both), []);
  tc('qdisc add dev left clsact');
  tc('qdisc add dev right ingress');
  tc('filter add dev left ingress prio 3 protocol ip u32 match u32 0 0 flowid 1:1');
  tc('filter add dev left egress prio 7 protocol ipv6 u32 match u32 0 0 flowid 1:1');
  tc('filter add dev right parent ffff: prio 9 protocol ip u32 match u32 0 0 flowid 1:1');
  const of = ({ ifindex = 0 } = {}, hook = '', priority = 0) => ({ ifindex, hook, kind: 'u32', priority });
  const filters = lab.netlink.filters.list(both).sort((one, other) => one.priority - other.priority);
  assert.deepEqual(filters, [of(left, 'ingress', 3), of(left, 'egress', 7), of(right, 'ingress', 9)]);
  assert.deepEqual(lab.netlink.filters.list(new Set([left.ifindex])).length, 2);
});
