import assert from 'node:assert/strict';
import { test } from 'node:test';
import { defaultValues } from '@sluice/config';
import type { LinkStatus } from '@sluice/datapath';
import { parseAddress, parsePrefix } from '@sluice/net';
import type { Device, Node } from '@sluice/nodes';
import { type NetworkState, networkReport } from './network-report.ts';

const address = parseAddress('10.10.30.101');

function device(name: string, selected: boolean): Device {
  const addresses = [address];
  return { name, ifindex: 2, mtu: 1500, kind: undefined, up: true, addresses, sources: addresses, selected, why: 'x' };
}

function node(name: string, podMtu: number): Node {
  return {
    name,
    addresses: [parseAddress('10.10.30.102')],
    podCidrs: [parsePrefix('10.244.1.0/24')],
    routerAddresses: [],
    labels: {},
    annotations: {},
    problems: [],
    local: podMtu === 0,
    podMtu,
    tunnelEndpoint: podMtu === 0 ? undefined : parseAddress('10.10.30.102'),
  };
}

function hook(name: string, attached: boolean): LinkStatus {
  return { name, attached, ifindex: 2, programId: 1, why: attached ? undefined : 'detached by somebody' };
}

function report(changes: Partial<NetworkState> = {}) {
  return networkReport({
    devices: [device('eno1', true), device('eth1', false)],
    nodes: [node('k8s-cp1', 0), node('k8s-cp2', 1400)],
    values: defaultValues(),
    mtu: 1450,
    links: [hook('to_network_eno1', true)],
    closed: undefined,
    ...changes,
  });
}

const values = defaultValues();

test('devices are all told of with the reason, and masquerade with the addresses of the chosen ones', () => {
  const { devices, masquerading } = report();
  assert.deepEqual(
    devices.map(({ name, selected, why }) => [name, selected, why]),
    [
      ['eno1', true, 'x'],
      ['eth1', false, 'x'],
    ],
  );
  assert.deepEqual(masquerading, {
    state: 'ok',
    why: undefined,
    ipv4: true,
    ipv6: true,
    devices: [{ name: 'eno1', addresses: [address] }],
  });
});

test('masquerade is only on where the kernel has its program, whatever the configuration says', () => {
  const why = (changes: Partial<NetworkState>) => {
    const { state, why } = report(changes).masquerading;
    return `${state}: ${why}`;
  };
  assert.equal(why({ links: [] }), 'degraded: to_network_eno1: no link');
  assert.equal(why({ links: [hook('to_network_eno1', false)] }), 'degraded: to_network_eno1: detached by somebody');
  assert.match(why({ devices: [device('eth1', false)] }), /^degraded: no device faces the network/);
  assert.equal(why({ closed: 'the node has no pod CIDR' }), 'degraded: the node has no pod CIDR');
  const off = { ...values, enableIPv4Masquerade: false, enableIPv6Masquerade: false };
  assert.match(why({ values: off }), /^off: enableIPv4Masquerade/);
});

test('a family that the cluster has not is not masqueraded', () => {
  const { ipv4, ipv6 } = report({ values: { ...values, ipv6: { ...values.ipv6, enabled: false } } }).masquerading;
  assert.deepEqual([ipv4, ipv6], [true, false]);
});

test('routing tells the way to the world, and what fits into the tunnel to each other node', () => {
  const { routing } = report();
  assert.deepEqual([routing.host, routing.hostWhy, routing.mtu], ['BPF', undefined, 1450]);
  assert.deepEqual(routing.routes, [
    { node: 'k8s-cp2', podCidrs: ['10.244.1.0/24'], tunnelEndpoint: '10.10.30.102', mtu: 1400 },
  ]);
  const legacy = report({ values: { ...values, bpf: { ...values.bpf, hostLegacyRouting: true } } }).routing;
  assert.deepEqual([legacy.host, legacy.hostWhy], ['Legacy', 'bpf.hostLegacyRouting is true']);
});
