import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import type { Addresses, Case, Surroundings } from './case.ts';
import { allCases, casesOf } from './cases.ts';
import { podPlans, SERVICES } from './workload.ts';

const ipv4 = { 4: parseAddress('10.244.0.2') };

function around(addresses: Addresses, overrides: Partial<Surroundings> = {}): Surroundings {
  const node = (name: string) => ({ name, addresses: [parseAddress('10.10.30.101')] });
  const named = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, addresses]));
  return {
    namespace: 'sluice-test',
    nodes: [node('near'), node('far')],
    pods: named(podPlans({ namespace: '', image: '', nodes: ['near', 'far'] }).map(({ name }) => name)),
    services: named(SERVICES.map(({ name }) => name)),
    nodePorts: Object.fromEntries(SERVICES.map(({ name }) => [name, { tcp: 30_080, udp: 30_081 }])),
    world: {},
    hasOutside: false,
    ...overrides,
  };
}

const notRun = (cases: readonly Case[], pattern: RegExp) => cases.filter(({ notRun }) => pattern.test(notRun ?? ''));

test('every case has a name of its own, says what it tries, and can be run where everything is there', () => {
  const cases = allCases('sluice-test');
  assert.ok(cases.length > 200, `${cases.length} cases`);
  assert.equal(new Set(cases.map(({ name }) => name)).size, cases.length);
  for (const { name, summary, hint, steps } of cases) {
    assert.match(name, /^[a-z0-9-]+(\/[a-z0-9-]+)+$/);
    assert.ok(summary !== '' && hint !== '' && steps.length > 0, name);
  }
});

test('a case that the cluster cannot give ground for is there, with the reason why it is not run', () => {
  const cases = casesOf(around(ipv4));
  assert.equal(cases.length, allCases('sluice-test').length);
  const ipv6 = cases.filter(({ name }) => name.endsWith('/ipv6'));
  assert.deepEqual(
    ipv6.filter((entry) => entry.notRun === undefined).map(({ name }) => name),
    [],
  );
  assert.ok(notRun(cases, /this cluster has no IPv6/).length > 50);
  assert.ok(notRun(cases, /give --world ADDRESS/).every(({ name }) => name.startsWith('world/')));
  assert.ok(notRun(cases, /give --outside COMMAND/).length > 0);
});

test('with one node, what takes two is not run, and nothing pretends to', () => {
  const both = around(ipv4);
  const [near] = both.nodes;
  const { 'echo-other-node': _, 'host-far': __, ...pods } = both.pods;
  const cases = casesOf({ ...both, nodes: [near, near], pods });
  const runnable = cases.filter((entry) => entry.notRun === undefined);
  assert.ok(notRun(cases, /only one node/).length > 20);
  assert.ok(runnable.length > 20);
  assert.deepEqual(
    runnable.filter(({ name }) => /other-node|remote/.test(name)).map(({ name }) => name),
    [],
  );
});

test('the world must see an address of the node, and from a service the client must see the service', () => {
  const world = { 4: { address: parseAddress('198.51.100.10'), port: 80 } };
  const cases = casesOf(around(ipv4, { world }));
  const expectedOf = (name: string) => cases.find((entry) => entry.name === name)?.steps[0]?.expected;
  assert.deepEqual(expectedOf('world/seen-address/tcp/ipv4'), {
    outcome: 'answered',
    by: undefined,
    seen: ['10.10.30.101'],
    peer: '198.51.100.10:80',
  });
  assert.deepEqual(expectedOf('pod-to-service/other-node/udp/ipv4'), {
    outcome: 'answered',
    by: 'host=echo-other-node',
    seen: ['10.244.0.2'],
    peer: '10.244.0.2:80',
  });
});
