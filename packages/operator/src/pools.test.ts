import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatPrefix, parsePrefix } from '@sluice/net';
import { type PlanInput, planPodCidrs } from './pools.ts';

const pool = (prefix: string, nodeLength: number) => ({ prefix: parsePrefix(prefix), nodeLength });
const node = (name: string, ...podCidrs: string[]) => ({ name, podCidrs: podCidrs.map((text) => parsePrefix(text)) });

function plan(input: Partial<PlanInput>) {
  const result = planPodCidrs({
    pools: [pool('10.244.0.0/16', 24), pool('fd00:10:244::/48', 64)],
    nodes: [],
    neighbours: [],
    families: [4, 6],
    ...input,
  });
  const assignments = result.assignments.map(({ node, podCidrs }) => [node, ...podCidrs.map(formatPrefix)]);
  return { ...result, assignments };
}

test('each node without pod CIDRs gets the first free share of both families', () => {
  const { assignments } = plan({ nodes: [node('b'), node('a')] });
  assert.deepEqual(assignments, [
    ['a', '10.244.0.0/24', 'fd00:10:244::/64'],
    ['b', '10.244.1.0/24', 'fd00:10:244:1::/64'],
  ]);
});

test('what a node has stays and is given to nobody else, whatever its size', () => {
  const { assignments } = plan({ nodes: [node('a', '10.244.0.0/23', 'fd00:10:244::/64'), node('b')] });
  assert.deepEqual(assignments, [['b', '10.244.2.0/24', 'fd00:10:244:1::/64']]);
});

test('a pool that overlaps the services or a LAN is refused with the reason, and nodes are told', () => {
  const neighbours = [{ prefix: parsePrefix('10.244.96.0/20'), what: 'the services' }];
  const { assignments, refusals, unserved } = plan({ nodes: [node('a')], neighbours });
  assert.deepEqual(assignments, []);
  assert.deepEqual(refusals, [
    { pool: '10.244.0.0/16', reason: '10.244.0.0/16 overlaps 10.244.96.0/20, the services' },
  ]);
  assert.match(unserved[0]?.reason ?? '', /no IPv4 share is left.*10\.244\.0\.0\/16 \(refused\)/);
});

test('a node gets both families or nothing, and the share of the other family goes to nobody', () => {
  const pools = [pool('10.0.0.0/24', 25), pool('fd00::/64', 64)];
  const { assignments, unserved } = plan({ pools, nodes: [node('a'), node('b')] });
  assert.deepEqual(assignments, [['a', '10.0.0.0/25', 'fd00::/64']]);
  assert.match(unserved[0]?.reason ?? '', /no IPv6 share/);
  const ipv4Only = plan({ pools, families: [4], nodes: [node('a', '10.0.0.0/25'), node('b')] });
  assert.deepEqual(ipv4Only.assignments, [['b', '10.0.0.128/25']]);
});

test('a share larger than its pool or too small for a pod is refused', () => {
  const { refusals } = plan({ pools: [pool('10.0.0.0/24', 16), pool('10.1.0.0/24', 32)] });
  assert.equal(refusals.length, 2);
});

test('a /16 serves 256 nodes, no two alike', () => {
  const nodes = Array.from({ length: 256 }, (_, index) => node(`n${index}`));
  const { assignments } = plan({ nodes });
  assert.equal(new Set(assignments.map(([, ipv4]) => ipv4)).size, 256);
});

test('5,000 nodes that come at once each get a share, no two alike', () => {
  const nodes = Array.from({ length: 5_000 }, (_, index) => node(`n${index}`));
  const { assignments, unserved } = plan({ pools: [pool('10.0.0.0/8', 24), pool('fd00::/40', 64)], nodes });
  assert.deepEqual(unserved, []);
  for (const family of [1, 2]) assert.equal(new Set(assignments.map((each) => each[family])).size, 5_000);
});
