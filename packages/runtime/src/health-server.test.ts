import assert from 'node:assert/strict';
import { type AddressInfo, createServer, type Server } from 'node:net';
import { test } from 'node:test';
import { fakeClock } from './fake-clock.ts';
import { HealthServer } from './health-server.ts';
import { silentLogger } from './logger.ts';

async function freePort(): Promise<number> {
  const server = await listening(0);
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

function listening(port: number): Promise<Server> {
  const server = createServer();
  return new Promise((resolve) => server.listen(port, '127.0.0.1', () => resolve(server)));
}

async function ask(port: number, path: string) {
  const response = await fetch(`http://127.0.0.1:${port}${path}`);
  return { status: response.status, body: await response.json() };
}

test('a process that waits is alive but not ready, and says what it waits for', async () => {
  const port = await freePort();
  let unready: string | undefined = 'no pod CIDR yet';
  const server = new HealthServer({ port, unready: () => unready, log: silentLogger });
  await server.start();
  try {
    assert.deepEqual(await ask(port, '/healthz'), { status: 200, body: { status: 'ok' } });
    assert.deepEqual(await ask(port, '/readyz'), { status: 503, body: { unready: 'no pod CIDR yet' } });
    unready = undefined;
    assert.deepEqual(await ask(port, '/readyz'), { status: 200, body: { status: 'ok' } });
    assert.equal((await ask(port, '/metrics')).status, 404);
  } finally {
    await server.stop();
  }
  await assert.rejects(ask(port, '/healthz'));
});

test('a port that somebody else has is taken once it is free', async () => {
  const port = await freePort();
  const other = await listening(port);
  const clock = fakeClock();
  const server = new HealthServer({ port, unready: () => undefined, log: silentLogger, clock });
  await server.start();
  await new Promise((resolve) => other.close(resolve));
  await assert.rejects(ask(port, '/healthz'));
  clock.advance(10_000);
  try {
    let answer: unknown;
    for (let tries = 0; answer === undefined && tries < 100; tries++)
      answer = await ask(port, '/healthz').catch(() => undefined);
    assert.deepEqual(answer, { status: 200, body: { status: 'ok' } });
  } finally {
    await server.stop();
  }
});
