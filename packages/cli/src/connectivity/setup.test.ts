import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAddress } from '@sluice/net';
import { fakeClock } from '@sluice/runtime';
import type { Cluster } from './cluster.ts';
import { chooseNodes, type SetupOptions, setUp, tearDown } from './setup.ts';

const ipv4 = { 4: parseAddress('10.244.0.2') };
const node = (name: string) => ({ name, addresses: [parseAddress('10.10.30.101')] });

const nodes = [node('near'), node('far')] as const;

/** Everything is ready at once; `made` and `removed` tell what was asked for. */
function cluster(overrides: Partial<Cluster> = {}) {
  const made: string[] = [];
  const removed: string[] = [];
  const named = ({ kind, metadata }: { kind: string; metadata: { name: string } }) => `${kind}/${metadata.name}`;
  const fake: Cluster = {
    server: 'https://cluster.test:6443',
    readyNodes: async () => [node('near'), node('far')],
    namespaceState: async () => 'absent',
    ensure: async (object) => {
      made.push(named(object));
      return 'there';
    },
    remove: async (object) => void removed.push(named(object)),
    podState: async () => ({ ready: true, addresses: ipv4, why: '' }),
    service: async () => ({ addresses: ipv4, nodePorts: {} }),
    readyEndpoints: async () => 2,
    exec: () => assert.fail('nothing is run'),
    ...overrides,
  };
  return { ...fake, made, removed };
}

function options(overrides: Partial<SetupOptions> = {}): SetupOptions {
  const clock = fakeClock();
  const setTimeout: SetupOptions['clock']['setTimeout'] = (callback, delayMs) => {
    const timer = clock.setTimeout(callback, delayMs);
    queueMicrotask(() => clock.advance(delayMs));
    return timer;
  };
  return {
    namespace: 'sluice-test',
    image: 'echo',
    world: {},
    hasOutside: false,
    waitSeconds: 5,
    clock: { now: clock.now, monotonicNs: clock.monotonicNs, setTimeout },
    signal: new AbortController().signal,
    onStep: () => undefined,
    ...overrides,
  };
}

test('the namespace is made first, and the addresses of pods and services are found', async () => {
  const fake = cluster();
  const around = await setUp(fake, nodes, options());
  assert.equal(fake.made[0], 'Namespace/sluice-test');
  assert.deepEqual([around.pods.client, around.services.pair], [ipv4, ipv4]);
  assert.deepEqual(
    around.nodes.map(({ name }) => name),
    ['near', 'far'],
  );
});

test('a cluster of one node has it twice, and one that is refused a service goes on without it', async () => {
  const made: string[] = [];
  const fake = cluster({
    readyNodes: async () => [node('only')],
    readyEndpoints: async (_, name) => (name.includes('far') || name.includes('other') ? 0 : 1),
    ensure: async (object) => {
      made.push(object.metadata.name);
      return object.metadata.name === 'only-ipv6' ? 'refused' : 'there';
    },
  });
  const around = await setUp(fake, await chooseNodes(fake), options());
  assert.ok(made.includes('host-near') && !('host-far' in around.pods), 'two pods cannot have one port of a host');
  assert.deepEqual(
    around.nodes.map(({ name }) => name),
    ['only', 'only'],
  );
  assert.equal(around.services['only-ipv6'], undefined);
});

test('without a node that is Ready the error says where to look', async () => {
  await assert.rejects(chooseNodes(cluster({ readyNodes: async () => [] })), /no node .* kubectl describe nodes/);
});

test('a pod that never becomes ready ends the test with its name, its reason and the time', async () => {
  const podState: Cluster['podState'] = async () => ({ ready: false, addresses: {}, why: 'phase Pending' });
  await assert.rejects(
    setUp(cluster({ podState }), nodes, options()),
    /pod sluice-test\/\S+ is not ready after 5 s: phase Pending/,
  );
});

test('a service whose endpoints never come is named with how many there are', async () => {
  const readyEndpoints: Cluster['readyEndpoints'] = async (_, name) => (name === 'pair' ? 1 : 2);
  await assert.rejects(
    setUp(cluster({ readyEndpoints }), nodes, options()),
    /service sluice-test\/pair .* have 1 of 2/,
  );
});

test('a namespace that is being deleted is waited for', async () => {
  let asked = 0;
  const namespaceState: Cluster['namespaceState'] = async () => (++asked < 3 ? 'ending' : 'absent');
  const fake = cluster({ namespaceState });
  await setUp(fake, nodes, options());
  assert.equal(asked, 3);
  await assert.rejects(
    setUp(cluster({ namespaceState: async () => 'ending' }), nodes, options()),
    /namespace sluice-test is not gone/,
  );
});

test('an interrupted test stops waiting', async () => {
  const stop = new AbortController();
  const podState: Cluster['podState'] = async () => {
    stop.abort();
    return { ready: false, addresses: {}, why: 'phase Pending' };
  };
  await assert.rejects(setUp(cluster({ podState }), nodes, options({ signal: stop.signal })), { name: 'AbortError' });
});

test('only a namespace that the test has made is deleted; of another one only what is its own', async () => {
  const ours = cluster({ namespaceState: async () => 'ours' });
  await tearDown(ours, options());
  assert.deepEqual(ours.removed, ['Namespace/sluice-test']);
  const foreign = cluster({ namespaceState: async () => 'foreign' });
  await tearDown(foreign, options());
  assert.ok(!foreign.removed.some((name) => name.startsWith('Namespace/')));
  assert.ok(foreign.removed.includes('Pod/client') && foreign.removed.includes('Service/pair'));
  const gone = cluster({ namespaceState: async () => 'ending' });
  await tearDown(gone, options());
  assert.deepEqual(gone.removed, []);
});
