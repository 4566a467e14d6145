import assert from 'node:assert/strict';
import { type AddressInfo, createServer } from 'node:net';
import { test } from 'node:test';
import {
  type EndpointSliceObject,
  objectKey,
  parseEndpointSlice,
  parseService,
  type ServiceObject,
} from '@sluice/kube';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { Table } from '@sluice/state';
import { startHealthChecks } from './health-check-servers.ts';

function cluster() {
  const services = new Table<ServiceObject>({ name: 'services', key: objectKey, columns: {}, sources: ['api'] });
  const endpointSlices = new Table<EndpointSliceObject>({
    name: 'endpoint-slices',
    key: objectKey,
    columns: {},
    sources: ['api'],
    indexes: { service: (row) => [`${row.namespace}/${row.serviceName}`] },
  });
  const health = { isGood: true };
  const common = { nodeName: 'node-1', isHealthy: () => health.isGood, clock: fakeClock(), log: silentLogger };
  return { services, endpointSlices, health, ...common };
}

function service(port: number, spec: object = {}) {
  return parseService({
    metadata: { namespace: 'shop', name: 'web' },
    spec: { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: port, ports: [], ...spec },
  });
}

const ready = {};
const leaving = { ready: false, serving: true, terminating: true };

function slice(endpoints: readonly (readonly [address: string, node: string, conditions: object])[], name = 'web-1') {
  return parseEndpointSlice({
    metadata: { namespace: 'shop', name, labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: endpoints[0]?.[0].includes(':') ? 'IPv6' : 'IPv4',
    ports: [],
    endpoints: endpoints.map(([address, nodeName, conditions]) => ({ addresses: [address], nodeName, conditions })),
  });
}

async function listen(port = 0) {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(port, resolve));
  const stop = () => new Promise<void>((resolve) => void server.close(() => resolve()));
  return { port: (server.address() as AddressInfo).port, stop };
}

async function freePort(): Promise<number> {
  const { port, stop } = await listen();
  await stop();
  return port;
}

async function ask(port: number, host = '127.0.0.1') {
  for (let tries = 0; ; tries += 1) {
    try {
      const response = await fetch(`http://${host}:${port}/any`, { headers: { connection: 'close' } });
      const weight = response.headers.get('X-Load-Balancing-Endpoint-Weight');
      return { status: response.status, weight, body: await response.json() };
    } catch (error) {
      if (tries > 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }
}

function list(world: ReturnType<typeof cluster>, port: number): void {
  world.services.upsert(service(port));
  world.services.markInitialized('api');
  world.endpointSlices.markInitialized('api');
}

test('a balancer is told how many ready endpoints are on this node, over both families', async () => {
  const [world, port] = [cluster(), await freePort()];
  await using _ = startHealthChecks(world);
  world.endpointSlices.upsert(
    slice([
      ['10.244.1.2', 'node-1', ready],
      ['10.244.1.3', 'node-1', ready],
      ['10.244.1.4', 'node-1', leaving],
      ['10.244.2.2', 'node-2', ready],
    ]),
  );
  world.endpointSlices.upsert(slice([['fd00::2', 'node-1', ready]], 'web-2'));
  list(world, port);
  const body = { service: { namespace: 'shop', name: 'web' }, localEndpoints: 2, serviceProxyHealthy: true };
  assert.deepEqual(await ask(port), { status: 200, weight: '2', body });
  assert.deepEqual(await ask(port, '[::1]'), { status: 200, weight: '2', body });
});

test('endpoints that only terminate send the balancer to another node, and so does a kernel that lags behind', async () => {
  const [world, port] = [cluster(), await freePort()];
  await using _ = startHealthChecks(world);
  world.endpointSlices.upsert(slice([['10.244.1.2', 'node-1', ready]]));
  list(world, port);
  assert.equal((await ask(port)).status, 200);
  world.health.isGood = false;
  assert.deepEqual((await ask(port)).status, 503);
  world.health.isGood = true;
  world.endpointSlices.upsert(slice([['10.244.1.2', 'node-1', leaving]]));
  const { status, weight } = await ask(port);
  assert.deepEqual([status, weight], [503, '0']);
});

test('the port follows the service, and goes with the policy Local', async () => {
  const [world, first, second] = [cluster(), await freePort(), await freePort()];
  await using checks = startHealthChecks(world);
  list(world, first);
  await ask(first);
  world.services.upsert(service(second));
  await ask(second);
  await assert.rejects(fetch(`http://127.0.0.1:${first}/`));
  world.services.upsert(service(second, { externalTrafficPolicy: 'Cluster' }));
  await assert.rejects(fetch(`http://127.0.0.1:${second}/`));
  assert.equal(checks.checks.size, 0);
});

test('nothing is answered before services and slices are known', async () => {
  const [world, port] = [cluster(), await freePort()];
  await using checks = startHealthChecks(world);
  world.services.upsert(service(port));
  world.services.markInitialized('api');
  assert.deepEqual([checks.checks.size, checks.checks.initialized], [0, false]);
  world.endpointSlices.markInitialized('api');
  assert.equal(checks.checks.initialized, true);
  assert.equal((await ask(port)).status, 503);
});

test('a port that another process has is told, and taken once it is free', async () => {
  const [world, other] = [cluster(), await listen()];
  await using checks = startHealthChecks(world);
  list(world, other.port);
  const problem = () => checks.checks.get('shop/web')?.problem;
  for (let tries = 0; problem() === 'starting' && tries < 100; tries += 1)
    await new Promise((resolve) => setTimeout(resolve, 10));
  assert.match(String(problem()), /another process has it; tried again every 10 s/);
  await other.stop();
  world.clock.advance(10_000);
  assert.equal((await ask(other.port)).status, 503);
  assert.equal(problem(), undefined);
});
