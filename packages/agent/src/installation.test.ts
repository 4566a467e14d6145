import assert from 'node:assert/strict';
import { existsSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setOthersAside } from '@sluice/cni';
import { createKubeClient } from '@sluice/kube';
import { FakeApi, type Fault } from '@sluice/kube/testing';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { Installation } from './installation.ts';

const daemonSet = { namespace: 'kube-system', name: 'sluice' };
const object = { metadata: { ...daemonSet, uid: 'u1' } };

interface Case extends AsyncDisposable {
  readonly api: FakeApi;
  readonly clock: ReturnType<typeof fakeClock>;
  isOver(): Promise<boolean>;
}

async function installed(): Promise<Case> {
  const api = await FakeApi.start();
  const clock = fakeClock();
  const client = createKubeClient({ servers: [api.url] });
  const common = { configFile: undefined, pluginFile: undefined, log: silentLogger };
  const installation = new Installation({ ...common, daemonSet, client, clock });
  return {
    api,
    clock,
    isOver: () => installation.isOver(),
    async [Symbol.asyncDispose]() {
      client.close();
      await api[Symbol.asyncDispose]();
    },
  };
}

const stepsMax = 1_000;

/** The answers of the server come in real time, and late on a busy machine; the patience is counted in that of the test. */
async function passingTime<Answer>({ clock }: Case, answer: Promise<Answer>): Promise<Answer> {
  let isThere = false;
  void answer.finally(() => {
    isThere = true;
  });
  for (let step = 0; step < stepsMax && !isThere; step += 1) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    clock.advance(1_000);
  }
  return answer;
}

const answering =
  (status: number): Fault =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', code: status, reason: 'Test' }));
    return true;
  };

test('an agent whose DaemonSet is there is replaced', async () => {
  await using node = await installed();
  node.api.store.put('daemonsets', object);
  assert.equal(await node.isOver(), false);
});

test('an agent whose DaemonSet is gone, or about to go, is uninstalled', async () => {
  await using node = await installed();
  assert.equal(await node.isOver(), true);
  const metadata = { ...object.metadata, deletionTimestamp: '2026-01-01T00:00:00Z' };
  node.api.store.put('daemonsets', { ...object, metadata });
  assert.equal(await node.isOver(), true);
});

test('rights that go before the account does are waited out', async () => {
  await using node = await installed();
  let asked = 0;
  node.api.fault = (...question) => {
    asked += 1;
    return answering(asked === 1 ? 403 : 401)(...question);
  };
  assert.equal(await passingTime(node, node.isOver()), true);
  assert.equal(asked, 2);
});

test('rights that stay away tell nothing, and neither does a server that does not answer', async () => {
  await using node = await installed();
  node.api.fault = answering(403);
  assert.equal(await passingTime(node, node.isOver()), false);
  node.api.fault = answering(500);
  assert.equal(await node.isOver(), false);
});

test('what an uninstallation leaves is what there was before', () => {
  using directory = temporaryDirectory();
  const path = (name: string) => join(directory.path, name);
  const [configFile, pluginFile] = [path('05-sluice.conflist'), path('sluice-cni')];
  for (const file of [configFile, pluginFile, path('10-flannel.conflist')]) writeFileSync(file, '{}');
  symlinkSync('sluice-cni', path('loopback'));
  setOthersAside(configFile);
  assert.ok(!existsSync(path('10-flannel.conflist')));
  const client = createKubeClient({ servers: ['http://127.0.0.1:1'] });
  new Installation({ daemonSet, configFile, pluginFile, client, clock: fakeClock(), log: silentLogger }).remove();
  client.close();
  assert.deepEqual(readdirSync(directory.path), ['10-flannel.conflist']);
});
