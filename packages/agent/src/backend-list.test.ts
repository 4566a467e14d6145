import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BackendState, createFakeDatapathMaps } from '@sluice/datapath';
import type { FrontendRow } from '@sluice/loadbalancer';
import { parseAddress } from '@sluice/net';
import { backendFilter, backendRows } from './backend-list.ts';

type Sources = Parameters<typeof backendRows>[0];

function frontend(service: string, backends: readonly string[], reason?: string): FrontendRow {
  return {
    key: `10.96.0.1:80/TCP ${service}`,
    id: 1,
    type: 'ClusterIP',
    service,
    portName: '',
    sourceRanges: undefined,
    isNodeAllowed: true,
    algorithm: 'random',
    whyRandom: undefined,
    forwarding: undefined,
    ...{ policy: 'Cluster', affinitySeconds: 0, unused: undefined },
    backends: backends.map((key) => ({ key, state: 'active', nodeName: 'k8s-cp2', zone: 'a' })),
    state: reason === undefined ? 'done' : 'error',
    reason,
  };
}

/** What the kernel has, and what these want, of the services that are asked for. */
function listed(query: string, maps: ReturnType<typeof createFakeDatapathMaps>, frontends: readonly FrontendRow[]) {
  const sources = { datapath: { maps }, loadBalancer: { frontends: { list: () => frontends } } } as unknown as Sources;
  return [...backendRows(sources, backendFilter(new URLSearchParams(query)))];
}

test('a backend is shown as the kernel has it, with all that use it; what is missing or in excess says so', () => {
  const maps = createFakeDatapathMaps();
  const address = parseAddress('10.244.1.7');
  maps.backends.update(1, { address, port: 8080, protocol: 6, state: BackendState.Terminating });
  maps.backends.update(2, { address, port: 9090, protocol: 17, state: BackendState.Active });
  const shared = '10.244.1.7:8080/TCP';
  const frontends = [
    frontend('shop/web', [shared]),
    frontend('shop/api', [shared, '10.244.1.8:80/TCP'], 'map slots, which is full'),
  ];
  const rows = listed('', maps, frontends);
  assert.deepEqual(
    rows.map(({ id, backend, state, node, zone, services, instances }) => [
      ...[id, backend, state, node, zone, services, instances],
    ]),
    [
      [1, shared, 'terminating', 'k8s-cp2', 'a', ['shop/web', 'shop/api'], 2],
      [2, '10.244.1.7:9090/UDP', 'active', '', '', [], 0],
      [undefined, '10.244.1.8:80/TCP', 'active', 'k8s-cp2', 'a', ['shop/api'], 1],
    ],
  );
  assert.equal(rows[0]?.problem, undefined);
  assert.match(rows[1]?.problem ?? '', /no frontend uses it/);
  assert.match(rows[2]?.problem ?? '', /map slots, which is full/);
  const ofApi = listed('service=shop/api', maps, frontends).map(({ backend }) => backend);
  assert.deepEqual(ofApi, [shared, '10.244.1.8:80/TCP']);
  assert.deepEqual(listed('namespace=other', maps, frontends), []);
  assert.throws(() => listed('pod=web', maps, frontends), /no parameter pod; there are service, namespace/);
});
