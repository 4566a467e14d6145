// Needs root: two network namespaces, in one the server, in the other a process with the real client and reflector.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type Address, parseAddress } from '@sluice/net';
import { openNetlink } from '@sluice/netlink';
import { temporaryNetworkNamespace } from '@sluice/testing';
import type { ReflectLine } from '../test/reflect-process.ts';
import { FakeApi } from './testing/index.ts';

const [ours, theirs] = [parseAddress('198.18.0.1'), parseAddress('198.18.0.2')];
const main = fileURLToPath(new URL('../test/reflect-process.ts', import.meta.url));
const service = (name: string) => ({ metadata: { name, namespace: 'default' }, spec: { ports: [{ port: 80 }] } });

/** Two namespaces on one wire. */
function wire() {
  const stack = new DisposableStack();
  const [client, server] = [stack.use(temporaryNetworkNamespace()), stack.use(temporaryNetworkNamespace())];
  using netlink = openNetlink({ namespace: client.path });
  const namespaceFd = openSync(server.path, 'r');
  netlink.links.create({ kind: 'veth', name: 'eth0', peer: { name: 'eth0', namespaceFd } });
  closeSync(namespaceFd);
  up(client.path, ours);
  up(server.path, theirs);
  return { client: client.path, server, [Symbol.dispose]: () => stack.dispose() };
}

function up(namespace: string, address: Address): void {
  using netlink = openNetlink({ namespace });
  const ifindex = netlink.links.get('eth0')?.ifindex ?? 0;
  netlink.links.set({ ifindex, up: true });
  netlink.addresses.add({ ifindex, address, length: 24 });
}

/** The server's machine no longer knows its address: what comes is dropped without a word, what it sends goes nowhere. */
function blackHole(namespace: string): void {
  using netlink = openNetlink({ namespace });
  netlink.addresses.delete({ ifindex: netlink.links.get('eth0')?.ifindex ?? 0, address: theirs, length: 24 });
}

function reflect(namespace: string, url: string) {
  const child = spawn('nsenter', [`--net=${namespace}`, process.execPath, main, url], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return {
    async until(condition: (line: ReflectLine) => boolean): Promise<ReflectLine> {
      for (;;) {
        const { value, done } = await lines.next();
        assert.ok(!done, 'the process ended');
        const line = JSON.parse(value) as ReflectLine;
        if (condition(line)) return line;
      }
    },
    [Symbol.dispose]: () => void child.kill(),
  };
}

test('a server behind a black hole shows within half a minute, and nothing is lost when it is back', async () => {
  using net = wire();
  // A socket stays in the namespace that it was made in.
  const starting = net.server.run(() => ({ api: FakeApi.start({ everywhere: true }) }));
  await using api = await starting.api;
  for (const name of ['a', 'b']) api.store.put('services', service(name));
  using process = reflect(net.client, `http://${theirs}:${api.port}`);
  await process.until(({ names }) => names.join() === 'a,b');
  await api.watchesOpen();
  blackHole(net.server.path);
  const lostAt = performance.now();
  api.store.remove('services', 'default/b');
  api.store.put('services', service('c'));
  const broken = await process.until(({ lastError }) => lastError !== null);
  const seconds = (performance.now() - lostAt) / 1000;
  assert.ok(seconds < 35, `it showed after ${seconds} s`);
  assert.deepEqual(broken.names, ['a', 'b']);
  assert.match(broken.lastError ?? '', /198\.18\.0\.2.*(silent|ETIMEDOUT|EHOSTUNREACH)/);
  const still = await process.until(({ failures }) => failures >= 2);
  assert.notEqual(still.lastError, null);
  up(net.server.path, theirs);
  const back = await process.until(({ names, lastError }) => names.join() === 'a,c' && lastError === null);
  assert.equal(back.lists, 1, 'the watch went on where it was');
});
