import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendState, createFakeDatapathMaps } from '@sluice/datapath';
import type { FrontendRow } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import { maglevFilter, maglevRows } from './maglev-list.ts';
import { QueryError } from './query.ts';

const SIZE = 2039;

function frontend(id: number, service: string, portName = ''): FrontendRow {
  const backends = ['10.244.1.7:8080/TCP', '10.244.2.7:8080/TCP'];
  return {
    ...{ key: `203.0.113.${id}:80/TCP`, id, type: 'LoadBalancer', service, portName, state: 'done' },
    ...{ sourceRanges: undefined, isNodeAllowed: true, forwarding: 'snat', reason: undefined },
    ...{ policy: 'Cluster', affinitySeconds: 0, unused: undefined },
    ...{ algorithm: 'maglev', whyRandom: undefined },
    backends: backends.map((key, index) => ({ key, state: 'active', nodeName: `k8s-w${index + 1}`, zone: undefined })),
  };
}

/** Of every three entries the first leads to one backend, the others to another. */
function kernel() {
  const maps = createFakeDatapathMaps();
  for (const id of [1, 2])
    maps.backends.update(id, {
      ...{ address: parseAddress(`10.244.${id}.7`), port: 8080, protocol: 6, state: BackendState.Active },
    });
  for (const serviceId of [5, 6, 7]) {
    const maglevSize = serviceId === 7 ? 0 : SIZE;
    const counts = { backendCount: 2, affinitySeconds: 0, maglevSize };
    const key = { address: parseAddress(`203.0.113.${serviceId}`), port: 80, protocol: 6, scope: 0 };
    maps.frontends.update(key, { serviceId, generation: 3, affinityId: 0, flags: 2, ...counts });
    for (const slot of [0, 1]) maps.slots.update({ serviceId, generation: 3, slot }, { backendId: slot + 1 });
    for (const chunk of maglevSize === 0 ? [] : [0, 1]) {
      const slots = Uint16Array.from({ length: 2_000 }, (_, index) => ((2_000 * chunk + index) % 3 === 0 ? 0 : 1));
      maps.maglev.update({ serviceId, generation: 3, chunk }, { checksum: 0, slots });
    }
  }
  return maps;
}

const frontends = [frontend(5, 'shop/web', 'http'), frontend(6, 'blog/web')];

function rows(query: string, maps = kernel()) {
  const filter = maglevFilter(new URLSearchParams(query));
  return [...maglevRows({ maps, frontends, filter })].map(
    ({ frontend, service, backend, node, entries }) => `${frontend} ${service} ${backend} ${node} ${entries}`,
  );
}

test('each backend of a table stands with its share, and what has no table does not', () => {
  assert.deepEqual(rows(''), [
    '203.0.113.5:80/TCP shop/web:http 10.244.1.7:8080/TCP k8s-w1 680',
    '203.0.113.5:80/TCP shop/web:http 10.244.2.7:8080/TCP k8s-w2 1359',
    '203.0.113.6:80/TCP blog/web 10.244.1.7:8080/TCP k8s-w1 680',
    '203.0.113.6:80/TCP blog/web 10.244.2.7:8080/TCP k8s-w2 1359',
  ]);
});

test('tables are narrowed down by service, namespace and backend', () => {
  assert.deepEqual(rows('service=web'), rows(''));
  assert.deepEqual(rows('service=shop/w'), rows('').slice(0, 2));
  assert.deepEqual(rows('namespace=blog'), rows('').slice(2));
  assert.deepEqual(rows('backend=10.244.2.0/24&service=shop/web'), rows('').slice(1, 2));
  assert.deepEqual(rows('service=nobody'), []);
  assert.throws(() => maglevFilter(new URLSearchParams('backend=web')), QueryError);
  assert.throws(() => maglevFilter(new URLSearchParams('pod=web')), /no parameter pod/);
});

test('entries that lead nowhere are counted apart', () => {
  const maps = kernel();
  maps.maglev.delete({ serviceId: 5, generation: 3, chunk: 1 });
  assert.deepEqual(rows('namespace=shop', maps), [
    '203.0.113.5:80/TCP shop/web:http 10.244.1.7:8080/TCP k8s-w1 667',
    '203.0.113.5:80/TCP shop/web:http 10.244.2.7:8080/TCP k8s-w2 1333',
    '203.0.113.5:80/TCP shop/web:http   39',
  ]);
  maps.backends.delete(2);
  const filter = maglevFilter(new URLSearchParams('namespace=shop'));
  const last = [...maglevRows({ maps, frontends, filter })].at(-1);
  assert.deepEqual([last?.entries, last?.backend], [1372, '']);
  assert.match(last?.problem ?? '', /lead nowhere/);
});
