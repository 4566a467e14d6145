import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import { createFakeMap } from '@sluice/bpf';
import { backendsMap, frontendsMap, maglevMap, slotsMap, sourceRangesMap } from '@sluice/datapath';
import {
  type EndpointSliceObject,
  type NodeObject,
  objectKey,
  parseEndpointSlice,
  parseNode,
  parseService,
  type ServiceObject,
} from '@sluice/kube';
import { parseAddress } from '@sluice/net';
import { fakeClock, recordingLogger, silentLogger } from '@sluice/runtime';
import { printTable, Table } from '@sluice/state';
import { ExternalIpGuard } from './external-ips.ts';
import { startLoadBalancer } from './load-balancer.ts';

function cluster() {
  const services = new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {}, sources: ['api'] });
  const endpointSlices = new Table<EndpointSliceObject>({
    name: 'endpoint-slices',
    key: objectKey,
    columns: {},
    sources: ['api'],
    indexes: { service: (row) => (row.serviceName === undefined ? [] : [`${row.namespace}/${row.serviceName}`]) },
  });
  const maps = {
    frontends: createFakeMap(frontendsMap),
    slots: createFakeMap(slotsMap),
    backends: createFakeMap(backendsMap),
    sourceRanges: createFakeMap(sourceRangesMap),
    maglev: createFakeMap(maglevMap),
  };
  const viewpoint = { nodeName: 'node-1', externalIps: true };
  const maglev = { tableSize: 251, seed: 0x24b7_ef82 };
  return { services, endpointSlices, maps, viewpoint, maglev, log: silentLogger };
}

const service = (name: string, clusterIp: string, more: { createdAt?: string; spec?: object } = {}) =>
  parseService({
    metadata: { namespace: 'shop', name, creationTimestamp: more.createdAt ?? '2026-01-01T00:00:00Z' },
    spec: { clusterIPs: [clusterIp], ports: [{ port: 80 }], ...more.spec },
  });

const slice = (name: string, addresses: readonly string[]) =>
  parseEndpointSlice({
    metadata: { namespace: 'shop', name: `${name}-1`, labels: { 'kubernetes.io/service-name': name } },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address] })),
  });

async function fill(
  world: ReturnType<typeof cluster>,
  objects: { services: ServiceObject[]; slices: EndpointSliceObject[] },
) {
  world.services.replaceAll(objects.services);
  world.services.markInitialized('api');
  world.endpointSlices.replaceAll(objects.slices);
  world.endpointSlices.markInitialized('api');
}

test('no table says that it is whole before services and slices are listed, and both do then', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  const whole = () => [balancer.frontends.initialized, balancer.conflicts.initialized];
  world.services.markInitialized('api');
  assert.deepEqual(whole(), [false, false]);
  world.endpointSlices.markInitialized('api');
  assert.deepEqual(whole(), [true, true]);
});

test('a service appears with its backends and a change of a slice follows', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  await fill(world, { services: [service('web', '10.96.0.5')], slices: [slice('web', ['10.244.1.2'])] });
  await balancer.reconciler.flush();
  const shown = () => balancer.frontends.get('10.96.0.5:80/TCP');
  assert.deepEqual([shown()?.state, shown()?.backends.map((row) => row.key)], ['done', ['10.244.1.2:8080/TCP']]);
  world.endpointSlices.upsert(slice('web', ['10.244.1.3']));
  await balancer.reconciler.flush();
  assert.deepEqual(
    shown()?.backends.map((row) => row.key),
    ['10.244.1.3:8080/TCP'],
  );
});

test('until both kinds are listed nothing that the kernel serves is touched', async () => {
  const world = cluster();
  {
    await using before = startLoadBalancer(world);
    await fill(world, { services: [service('web', '10.96.0.5')], slices: [slice('web', ['10.244.1.2'])] });
    await before.reconciler.flush();
  }
  const rows = [...world.maps.frontends.entries()];
  const restarted = { ...cluster(), maps: world.maps };
  await using balancer = startLoadBalancer(restarted);
  restarted.services.replaceAll([service('web', '10.96.0.5')]);
  restarted.services.markInitialized('api');
  await balancer.reconciler.flush();
  assert.deepEqual([...world.maps.frontends.entries()], rows);
  restarted.endpointSlices.replaceAll([slice('web', ['10.244.1.2'])]);
  restarted.endpointSlices.markInitialized('api');
  await balancer.reconciler.flush();
  assert.deepEqual([...world.maps.frontends.entries()], rows);
});

test('a service that was deleted while nobody looked is gone after the list', async () => {
  const world = cluster();
  {
    await using before = startLoadBalancer(world);
    await fill(world, { services: [service('web', '10.96.0.5')], slices: [] });
    await before.reconciler.flush();
  }
  const restarted = { ...cluster(), maps: world.maps };
  await using balancer = startLoadBalancer(restarted);
  await fill(restarted, { services: [service('other', '10.96.0.6')], slices: [] });
  await balancer.reconciler.flush();
  const addresses = new Set([...world.maps.frontends.entries()].map(([key]) => key.address));
  assert.deepEqual([...addresses], ['10.96.0.6']);
});

test('of two services with one address the older is served and the younger is told whose it is', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  const older = service('older', '10.96.0.5', { createdAt: '2026-01-01T00:00:00Z' });
  const younger = service('younger', '10.96.0.5', { createdAt: '2026-02-01T00:00:00Z' });
  await fill(world, { services: [younger, older], slices: [] });
  await balancer.reconciler.flush();
  assert.equal(balancer.frontends.get('10.96.0.5:80/TCP')?.service, 'shop/older');
  const [row] = balancer.frontends.by('service', 'shop/younger');
  assert.match(row?.reason ?? '', /belongs to the older service shop\/older/);
  assert.equal(row?.state, 'off', 'no fault of the node');
  world.services.delete('shop/older');
  await balancer.reconciler.flush();
  assert.equal(balancer.frontends.get('10.96.0.5:80/TCP')?.service, 'shop/younger');
  assert.equal(balancer.conflicts.size, 0);
});

test('who claims a balancer’s address that another one has is told at which place, port and type', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  const claim = (name: string, clusterIp: string, createdAt: string) => {
    const spec = { type: 'LoadBalancer', clusterIPs: [clusterIp], ports: [{ name: 'http', port: 80 }] };
    const status = { loadBalancer: { ingress: [{ ip: '192.0.2.9' }] } };
    return parseService({ metadata: { namespace: 'shop', name, creationTimestamp: createdAt }, spec, status });
  };
  const older = claim('older', '10.96.0.5', '2026-01-01T00:00:00Z');
  const younger = claim('younger', '10.96.0.6', '2026-02-01T00:00:00Z');
  await fill(world, { services: [older, younger], slices: [] });
  const key = '192.0.2.9:80/TCP of shop/younger';
  const { type, portName, reason } = balancer.frontends.get(key) ?? {};
  assert.deepEqual([type, portName], ['LoadBalancer', 'http']);
  assert.match(reason ?? '', /^192\.0\.2\.9:80\/TCP belongs to the older service shop\/older$/);
  world.services.delete('shop/older');
  await balancer.reconciler.flush();
  assert.equal(balancer.frontends.get(key), undefined);
  assert.equal(balancer.frontends.get('192.0.2.9:80/TCP')?.service, 'shop/younger');
});

test('who asks for a place in vain has a row beside that of who has it, and neither takes the other’s away', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  const claim = (name: string, clusterIp: string, ingress: object[]) => {
    const spec = { type: 'LoadBalancer', clusterIPs: [clusterIp], ports: [{ name: 'http', port: 80 }] };
    return parseService({ metadata: { namespace: 'shop', name }, spec, status: { loadBalancer: { ingress } } });
  };
  const vain = claim('vain', '10.96.0.5', [{ ip: '192.0.2.9', ipMode: 'Proxy' }]);
  const served = claim('served', '10.96.0.6', [{ ip: '192.0.2.9' }]);
  await fill(world, { services: [vain, served], slices: [] });
  await balancer.reconciler.flush();
  const at = () =>
    balancer.frontends
      .list()
      .filter(({ key }) => key === '192.0.2.9:80/TCP')
      .map(({ service, state }) => `${service} ${state}`)
      .sort();
  assert.deepEqual(at(), ['shop/served done', 'shop/vain off']);
  world.services.upsert(claim('served', '10.96.0.6', []));
  await balancer.reconciler.flush();
  assert.deepEqual(at(), ['shop/vain off']);
  world.services.upsert(served);
  world.services.upsert(claim('vain', '10.96.0.5', []));
  await balancer.reconciler.flush();
  assert.deepEqual(at(), ['shop/served done']);
});

test('who asked for a place in vain, and is refused for another reason now, keeps a row', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  const claim = (name: string, clusterIp: string, ipMode: string) =>
    parseService({
      metadata: { namespace: 'shop', name, creationTimestamp: name === 'older' ? '2026-01-01' : '2026-01-02' },
      spec: { type: 'LoadBalancer', clusterIPs: [clusterIp], ports: [{ name: 'http', port: 80 }] },
      status: { loadBalancer: { ingress: [{ ip: '192.0.2.9', ipMode }] } },
    });
  const services = [claim('older', '10.96.0.6', 'VIP'), claim('younger', '10.96.0.5', 'Proxy')];
  await fill(world, { services, slices: [] });
  const reason = () => balancer.frontends.get('192.0.2.9:80/TCP of shop/younger')?.reason;
  for (const [ipMode, expected] of [
    ['Proxy', /ipMode is Proxy/],
    ['VIP', /belongs to the older service/],
    ['Proxy', /ipMode is Proxy/],
  ] as const) {
    world.services.upsert(claim('younger', '10.96.0.5', ipMode));
    await balancer.reconciler.flush();
    assert.match(reason() ?? 'no row', expected);
  }
});

test('a frontend that is served without backends says so', async () => {
  const world = cluster();
  await using balancer = startLoadBalancer(world);
  await fill(world, { services: [service('web', '10.96.0.5')], slices: [] });
  await balancer.reconciler.flush();
  const status = () => balancer.frontends.list().map((row) => balancer.frontends.columns.Status?.(row));
  assert.deepEqual(status(), ['done, no backends']);
  world.endpointSlices.upsert(slice('web', ['10.244.1.2']));
  await balancer.reconciler.flush();
  assert.deepEqual(status(), ['done']);
});

test('what is asked for and not served stands in the table with the reason', async () => {
  const world = { ...cluster(), viewpoint: { nodeName: 'node-1', externalIps: false } };
  await using balancer = startLoadBalancer(world);
  const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }], externalIPs: ['10.10.30.50'] };
  await fill(world, { services: [service('web', '10.96.0.5', { spec })], slices: [] });
  await balancer.reconciler.flush();
  const rows = balancer.frontends.by('service', 'shop/web').map((row) => [row.key, row.state, row.reason]);
  assert.deepEqual(rows.sort(), [
    ['0.0.0.0:30080/TCP', 'done', undefined],
    ['10.10.30.50:80/TCP', 'off', 'externalIPs.enabled is off'],
    ['10.96.0.5:80/TCP', 'done', undefined],
  ]);
  world.services.delete('shop/web');
  await balancer.reconciler.flush();
  assert.equal(balancer.frontends.size, 0);
});

test("an external address of another Service's stays its owner's, and the thief's row says so as long as that is so", async () => {
  const world = cluster();
  const { services } = world;
  using externalIpGuard = new ExternalIpGuard({ rules: { allowed: [], apiServers: [] }, services, nodes: undefined });
  await using balancer = startLoadBalancer({ ...world, externalIpGuard });
  // The older one would keep the frontend, were it only about who came first.
  const thief = service('thief', '10.96.0.66', {
    createdAt: '2025-01-01T00:00:00Z',
    spec: { externalIPs: ['10.96.0.5'] },
  });
  await fill(world, { services: [thief, service('web', '10.96.0.5')], slices: [slice('thief', ['10.244.1.66'])] });
  await balancer.reconciler.flush();
  const rows = () =>
    balancer.frontends
      .list()
      .map(({ key, service: owner, state, type }) => `${key} ${type} ${owner} ${state}`)
      .sort();
  assert.deepEqual(rows(), [
    '10.96.0.5:80/TCP ClusterIP shop/web done',
    '10.96.0.5:80/TCP of shop/thief ExternalIP shop/thief off',
    '10.96.0.66:80/TCP ClusterIP shop/thief done',
  ]);
  services.delete('shop/web');
  await balancer.reconciler.flush();
  assert.deepEqual(rows(), [
    '10.96.0.5:80/TCP ExternalIP shop/thief done',
    '10.96.0.66:80/TCP ClusterIP shop/thief done',
  ]);
  services.upsert(service('web', '10.96.0.5'));
  await balancer.reconciler.flush();
  assert.match(rows().join(), /10\.96\.0\.5:80\/TCP ClusterIP shop\/web done/);
});

test("a balancer's address that is the API server's is off, with the reason", async () => {
  const world = cluster();
  const { services } = world;
  const rules = { allowed: [], apiServers: [parseAddress('10.10.30.10')] };
  using externalIpGuard = new ExternalIpGuard({ rules, services, nodes: undefined });
  await using balancer = startLoadBalancer({ ...world, externalIpGuard });
  const balanced = parseService({
    metadata: { namespace: 'shop', name: 'web' },
    spec: { type: 'LoadBalancer', clusterIPs: ['10.96.0.5'], ports: [{ port: 6443 }] },
    status: { loadBalancer: { ingress: [{ ip: '10.10.30.10' }, { ip: '10.10.30.11' }] } },
  });
  await fill(world, { services: [balanced], slices: [] });
  await balancer.reconciler.flush();
  assert.deepEqual(
    balancer.frontends
      .list()
      .map(({ key, state, reason }) => [key, state, reason])
      .sort(),
    [
      [
        '10.10.30.10:6443/TCP',
        'off',
        '10.10.30.10 belongs to the API server, and externalIPs.allowed does not name it',
      ],
      ['10.10.30.11:6443/TCP', 'done', undefined],
      ['10.96.0.5:6443/TCP', 'done', undefined],
    ],
  );
});

test('a full map is an error on the row of the service that found it full', async () => {
  const world = { ...cluster() };
  const maps = { ...world.maps, frontends: createFakeMap({ ...frontendsMap, maxEntries: 3 }) };
  await using balancer = startLoadBalancer({ ...world, maps });
  await fill(world, { services: [service('a', '10.96.0.5'), service('b', '10.96.0.6')], slices: [] });
  await balancer.reconciler.flush();
  const states = balancer.frontends
    .list()
    .map((row) => row.state)
    .sort();
  assert.deepEqual(states, ['done', 'error']);
});

test('an old generation that cannot be deleted is logged and breaks nothing', async () => {
  const world = cluster();
  const slots = createFakeMap(slotsMap, { faults: (operation) => (operation === 'delete' ? 'ENOMEM' : undefined) });
  const [clock, log] = [fakeClock(), recordingLogger('warn')];
  await using balancer = startLoadBalancer({ ...world, maps: { ...world.maps, slots }, clock, log });
  await fill(world, { services: [service('web', '10.96.0.5')], slices: [slice('web', ['10.244.1.2'])] });
  await balancer.reconciler.flush();
  world.endpointSlices.upsert(slice('web', ['10.244.1.3']));
  await balancer.reconciler.flush();
  await clock.advanceAsync(2_000);
  assert.match(log.lines[0]?.message ?? '', /old generation of a service.*left to the next comparison/);
  assert.equal(balancer.frontends.get('10.96.0.5:80/TCP')?.state, 'done');
});

test('a health check that cannot be asked stands beside the frontends of its service, until it can', async () => {
  const world = { ...cluster(), clock: fakeClock() };
  const other = createServer();
  await new Promise<void>((resolve) => other.listen(0, resolve));
  const { port } = other.address() as AddressInfo;
  await using balancer = startLoadBalancer(world);
  const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: port };
  await fill(world, { services: [service('web', '10.96.0.5', { spec })], slices: [] });
  const failed = () => balancer.frontends.list().filter(({ type }) => type === 'HealthCheck');
  const until = async (count: number) => {
    for (let tries = 0; failed().length !== count && tries < 200; tries += 1)
      await new Promise((resolve) => setTimeout(resolve, 10));
    return failed().map(({ service, state, reason }) => `${service} ${state} ${reason}`);
  };
  assert.deepEqual(await until(1), [`shop/web error port ${port}: another process has it; tried again every 10 s`]);
  await new Promise((resolve) => other.close(resolve));
  world.clock.advance(10_000);
  assert.deepEqual(await until(0), []);
});

test('services wait for the node, whose zone hints mean, and follow it when the zone changes', async () => {
  const nodes = new Table<NodeObject>({ name: 'nodes', key: (row) => row.name, columns: {}, sources: ['api'] });
  const world = { ...cluster(), nodes };
  await using balancer = startLoadBalancer(world);
  const endpoints = ['a', 'b'].map((zone, index) => ({
    addresses: [`10.244.1.${index + 2}`],
    hints: { forZones: [{ name: zone }] },
  }));
  const hinted = parseEndpointSlice({
    metadata: { namespace: 'shop', name: 'web-1', labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    ports: [{ name: '', protocol: 'TCP', port: 8080 }],
    endpoints,
  });
  const backends = async () => {
    await balancer.reconciler.flush();
    return balancer.frontends.get('10.96.0.5:80/TCP')?.backends.map(({ key }) => key);
  };
  const inZone = (labels: object) => nodes.upsert(parseNode({ metadata: { name: 'node-1', labels } }));
  await fill(world, { services: [service('web', '10.96.0.5')], slices: [hinted] });
  assert.equal(await backends(), undefined);
  inZone({ 'topology.kubernetes.io/zone': 'b' });
  nodes.markInitialized('api');
  assert.deepEqual(await backends(), ['10.244.1.3:8080/TCP']);
  inZone({ 'topology.kubernetes.io/zone': 'a' });
  assert.deepEqual(await backends(), ['10.244.1.2:8080/TCP']);
  inZone({});
  assert.deepEqual(await backends(), ['10.244.1.2:8080/TCP', '10.244.1.3:8080/TCP']);
});

test('an agent that starts again writes no frontend that is there already, NodePorts of both families among them', async () => {
  const spec = {
    type: 'NodePort',
    clusterIPs: ['10.96.0.5', 'fd00:10:96::5'],
    ports: [{ port: 80, nodePort: 30_080 }],
  };
  const services = [service('web', '10.96.0.5', { spec }), service('later', '10.96.0.6')];
  const objects = { services, slices: [slice('web', ['10.244.1.2'])] };
  const world = cluster();
  {
    await using before = startLoadBalancer(world);
    await fill(world, objects);
    await before.reconciler.flush();
  }
  const rows = () => [...world.maps.frontends.entries()].map((row) => JSON.stringify(row)).sort();
  const left = rows();
  assert.equal(left.length, 8, 'three cluster addresses and their marks, two NodePorts');
  const restarted = { ...cluster(), maps: world.maps };
  await using balancer = startLoadBalancer(restarted);
  await fill(restarted, objects);
  await balancer.reconciler.flush();
  assert.deepEqual(rows(), left);
  for (const name of ['shop/web', 'shop/later']) restarted.services.delete(name);
  await balancer.reconciler.flush();
  assert.deepEqual(rows(), []);
});

test('a service by Maglev says so, and why it is served at random where it is', async () => {
  const addresses = ['10.244.1.2', '10.244.1.3', '10.244.1.4'];
  const spec = { type: 'NodePort', ports: [{ port: 80, nodePort: 30_080 }] };
  for (const [tableSize, expected] of [
    [251, /^done, maglev$/],
    [2, /^done, at random instead of by maglev: 3 backends do not find room in a table of 2 \(maglev.tableSize\)$/],
  ] as const) {
    const world = cluster();
    const viewpoint = { ...world.viewpoint, algorithm: 'maglev' } as const;
    await using balancer = startLoadBalancer({ ...world, viewpoint, maglev: { ...world.maglev, tableSize } });
    await fill(world, { services: [service('web', '10.96.0.5', { spec })], slices: [slice('web', addresses)] });
    await balancer.reconciler.flush();
    const text = printTable(balancer.frontends).split('\n');
    const statusOf = (frontend: string) =>
      text
        .find((line) => line.includes(` ${frontend} `))
        ?.split(/ {3,}/)
        .at(-1);
    assert.match(statusOf('0.0.0.0:30080/TCP') ?? '', expected);
    assert.equal(statusOf('10.96.0.5:80/TCP'), 'done');
  }
});
