import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress, parsePrefix } from '@sluice/net';
import type { Link, Route } from '@sluice/netlink';
import { pathMtu } from './path-mtu.ts';

function link(ifindex: number, mtu: number): Link {
  return { ifindex, name: `eth${ifindex}`, mtu, up: true, carrier: true, loopback: false, arp: true };
}

function route(destination: string, more: Partial<Route> = {}): Route {
  const prefix = parsePrefix(destination);
  const family = destination.includes(':') ? 6 : 4;
  return {
    family,
    table: 254,
    type: 'unicast',
    destination: prefix,
    metric: 0,
    scope: 'global',
    protocol: 3,
    onlink: false,
    hops: [],
    ...more,
  };
}

const links = [link(1, 1500), link(2, 9000), link(3, 1400)];

function mtuOf(routes: readonly Route[], address: string): number | undefined {
  return pathMtu({ routes, links }, parseAddress(address));
}

test('the longest prefix decides, then the lowest metric', () => {
  const routes = [
    route('0.0.0.0/0', { ifindex: 1 }),
    route('10.10.30.0/24', { ifindex: 2, metric: 100 }),
    route('10.10.30.0/24', { ifindex: 3, metric: 200 }),
  ];
  assert.equal(mtuOf(routes, '10.10.30.7'), 9000);
  assert.equal(mtuOf(routes, '192.0.2.1'), 1500);
});

test("a route's own MTU narrows that of its device, and never widens it", () => {
  assert.equal(mtuOf([route('10.0.0.0/8', { ifindex: 2, mtu: 1300 })], '10.1.1.1'), 1300);
  assert.equal(mtuOf([route('10.0.0.0/8', { ifindex: 1, mtu: 9000 })], '10.1.1.1'), 1500);
});

test('of several paths the narrowest counts: a packet may take any', () => {
  const hops = [{ ifindex: 2 }, { ifindex: 3 }];
  assert.equal(mtuOf([route('fd00::/16', { hops })], 'fd00::1'), 1400);
});

test('other tables, families and routes that lead nowhere do not count', () => {
  assert.equal(mtuOf([route('10.0.0.0/8', { ifindex: 1, table: 100 })], '10.1.1.1'), undefined);
  assert.equal(mtuOf([route('10.0.0.0/8', { ifindex: 1 })], 'fd00::1'), undefined);
  assert.equal(mtuOf([route('10.0.0.0/8', { type: 'blackhole' })], '10.1.1.1'), undefined);
});
