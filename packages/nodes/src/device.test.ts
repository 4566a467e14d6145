import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, parseAddress, parseMac, parsePrefix } from '@sluice/net';
import type { InterfaceAddress, Link, Route } from '@sluice/netlink';
import { describeDevices, localNetworks, type Observation, unmatchedPatterns } from './device.ts';
import { deriveMtu } from './mtu.ts';

const names = ['lo', 'eno1', 'eth0', 'eth1', 'sluice_host', 'slc0123456789', 'docker0'];

function link(name: string, index: number): Link {
  const mac = parseMac('02:00:00:00:00:01');
  return { ifindex: index + 1, name, mac, mtu: 1500, up: true, carrier: true, loopback: name === 'lo', arp: true };
}

function address(name: string, text: string, more: Partial<InterfaceAddress> = {}): InterfaceAddress {
  const plain = { tentative: false, duplicate: false, deprecated: false, temporary: false, secondary: false };
  return {
    ifindex: names.indexOf(name) + 1,
    address: parseAddress(text),
    length: 24,
    scope: 'global',
    ...plain,
    ...more,
  };
}

function defaultRoute(name: string): Route {
  return {
    family: 4,
    table: 254,
    type: 'unicast',
    destination: parsePrefix('0.0.0.0/0'),
    ifindex: names.indexOf(name) + 1,
    metric: 0,
    scope: 'global',
    protocol: 3,
    onlink: false,
    hops: [],
  };
}

const observed: Observation = {
  links: names.map(link),
  addresses: [
    address('lo', '127.0.0.1', { scope: 'host' }),
    address('eno1', '10.10.30.101'),
    address('eno1', 'fe80::1', { scope: 'link' }),
    address('eth0', '192.168.1.2'),
  ],
  routes: [defaultRoute('eth0')],
};

const nodeAddresses = [parseAddress('10.10.30.101')];

function reasons(patterns: readonly string[]): Record<string, string> {
  const rows = describeDevices(observed, { patterns, nodeAddresses });
  return Object.fromEntries(rows.map((row) => [row.name, `${row.selected ? '+' : '-'} ${row.why}`]));
}

test('without configuration the default route and the node address choose; each row says why, pods have none', () => {
  assert.deepEqual(reasons([]), {
    lo: '- loopback',
    eno1: "+ holds the node's address 10.10.30.101",
    eth0: '+ has a default route',
    eth1: "- neither a default route nor the node's address",
    sluice_host: '- made by Sluice',
    docker0: "- neither a default route nor the node's address",
  });
});

test('named devices are the only ones, also by their beginning', () => {
  const chosen = (patterns: string[]) => Object.entries(reasons(patterns)).filter(([, why]) => why.startsWith('+'));
  assert.deepEqual(chosen(['eno1']), [['eno1', '+ named by devices: eno1']]);
  assert.deepEqual(
    chosen(['eth+']).map(([name]) => name),
    ['eth0', 'eth1'],
  );
});

test('neither loopback nor our own devices can be named', () => {
  assert.match(reasons(['lo', 'sluice_host']).lo ?? '', /^- loopback/);
  assert.match(reasons(['lo', 'sluice_host']).sluice_host ?? '', /^- made by Sluice/);
});

test('patterns that no device has are told', () => {
  const rows = describeDevices(observed, { patterns: [], nodeAddresses });
  assert.deepEqual(unmatchedPatterns(rows, ['eno1', 'eno2', 'wl+']), ['eno2', 'wl+']);
});

test('default route of another table or of several paths', () => {
  const { ifindex: _, ...pathless } = defaultRoute('eth0');
  const routes = [
    { ...defaultRoute('docker0'), table: 1000 },
    { ...pathless, hops: [{ ifindex: 4, gateway: parseAddress('10.0.0.1') }] },
  ];
  const rows = describeDevices({ ...observed, routes }, { patterns: [], nodeAddresses: [] });
  assert.deepEqual(
    rows.filter((row) => row.selected).map((row) => row.name),
    ['eth1'],
  );
});

test("link-local addresses are not listed as the device's: nobody off the link reaches them", () => {
  const rows = describeDevices(observed, { patterns: [], nodeAddresses });
  assert.deepEqual(rows.find((row) => row.name === 'eno1')?.addresses, ['10.10.30.101']);
});

test('MTU is that of the device that holds the tunnel address, less the headers of its family', () => {
  const devices = describeDevices(
    { ...observed, links: observed.links.map((row) => (row.name === 'eno1' ? { ...row, mtu: 9000 } : row)) },
    { patterns: [], nodeAddresses },
  );
  const mtu = (text: string | undefined, configured = 0) =>
    deriveMtu({ devices, tunnelSource: text === undefined ? undefined : parseAddress(text), configured });
  assert.deepEqual(mtu('10.10.30.101'), { underlay: 9000, pod: 8950 });
  assert.deepEqual(mtu('fd00::1'), { underlay: 1500, pod: 1430 });
  assert.deepEqual(mtu('10.10.30.101', 1400), { underlay: 1400, pod: 1350 });
  assert.deepEqual(mtu(undefined), { underlay: 1500, pod: 1450 });
});

test('pods keep the least that IPv6 must have, however small the network is', () => {
  assert.equal(deriveMtu({ devices: [], tunnelSource: parseAddress('fd00::1'), configured: 1300 }).pod, 1280);
});

test('a chosen device without frames is not chosen after all, and says why', () => {
  const { mac: _, ...tunnel } = link('eno1', 1);
  const [row] = describeDevices({ ...observed, links: [tunnel] }, { patterns: ['eno1'], nodeAddresses });
  assert.deepEqual(
    [row?.selected, row?.why],
    [false, 'named by devices: eno1, but it is no Ethernet device: nothing is masqueraded there'],
  );
});

test('packets are masqueraded as addresses that the world routes, then as those of the node', () => {
  const addresses = ['10.10.30.7', '10.10.30.101', 'fd00::1', '2001:db8::1'].map((text) => address('eno1', text));
  const old = address('eno1', '2001:db8::2', { deprecated: true });
  const [row] = describeDevices(
    { ...observed, links: [link('eno1', 1)], addresses: [...addresses, old] },
    { patterns: [], nodeAddresses },
  );
  assert.deepEqual(row?.sources, ['10.10.30.101', '10.10.30.7', '2001:db8::1', 'fd00::1']);
});

test('the networks that a node is attached to are those of others than ourselves, without link-local and lone addresses', () => {
  const more = [
    address('docker0', '172.17.0.1', { length: 16 }),
    address('eth1', 'fd00::7', { length: 64 }),
    address('eth1', '10.9.9.9', { length: 32 }),
    address('sluice_host', '10.244.0.1', { length: 24 }),
    address('slc0123456789', '10.244.0.7', { length: 24 }),
  ];
  const networks = localNetworks({ ...observed, addresses: [...observed.addresses, ...more] });
  assert.deepEqual(
    networks.map(({ prefix, device }) => `${formatPrefix(prefix)} ${device}`),
    ['10.10.30.0/24 eno1', '192.168.1.0/24 eth0', '172.17.0.0/16 docker0', 'fd00::/64 eth1'],
  );
});
