import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { QueryError } from './query.ts';
import { type Traffic, trafficFilter } from './traffic.ts';

const web: Traffic = {
  source: { address: parseAddress('10.244.0.5'), port: 40_000, name: 'shop/web-7d9f' },
  destination: { address: parseAddress('10.96.0.9'), port: 80, name: 'service db/main' },
  protocol: 'TCP',
};
const ping: Traffic = {
  source: { address: parseAddress('fd00:10:244::7'), port: 0, name: '' },
  destination: { address: parseAddress('fd00:10:10:30::101'), port: 0, name: 'node k8s-cp1' },
  protocol: 'ICMPv6',
};
const cut: Traffic = {
  source: { address: undefined, port: 0, name: '' },
  destination: { address: undefined, port: 0, name: '' },
  protocol: '',
};

const matching = (text: string) => {
  const filter = trafficFilter(new URLSearchParams(text));
  return Object.entries({ web, ping, cut }).flatMap(([name, traffic]) => (filter(traffic) ? [name] : []));
};

test('no question is a question for all', () => {
  assert.deepEqual(matching(''), ['web', 'ping', 'cut']);
});

test('a pod is found by the beginning of its name, at the end that is asked for', () => {
  for (const text of ['pod=shop/web', 'pod=web', 'from-pod=shop/web-7d9f', 'pod=other&pod=web']) {
    assert.deepEqual(matching(text), ['web'], text);
  }
  for (const text of ['to-pod=shop/web', 'pod=shop/eb', 'pod=main', 'pod=db/main', 'pod=k8s-cp1', 'pod=10.244.0.5']) {
    assert.deepEqual(matching(text), [], text);
  }
});

test('a namespace is that of a pod or of a service', () => {
  assert.deepEqual(
    [matching('namespace=shop'), matching('namespace=db'), matching('namespace=k8s-cp1')],
    [['web'], ['web'], []],
  );
});

test('addresses and prefixes, ports and protocols are found at both ends', () => {
  assert.deepEqual(matching('ip=10.96.0.9'), ['web']);
  assert.deepEqual(matching('ip=10.244.0.0/16&ip=fd00:10:244::/48'), ['web', 'ping']);
  assert.deepEqual([matching('port=80'), matching('port=40000'), matching('port=81')], [['web'], ['web'], []]);
  assert.deepEqual([matching('protocol=tcp'), matching('protocol=icmpv6')], [['web'], ['ping']]);
});

test('different questions must all be met', () => {
  assert.deepEqual([matching('namespace=shop&port=80'), matching('namespace=shop&port=81')], [['web'], []]);
});

test('what is no address or no port is refused', () => {
  for (const text of ['ip=web', 'ip=10.0.0.0/33', 'port=0', 'port=http', 'port=65536']) {
    assert.throws(() => matching(text), QueryError, text);
  }
});
