import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { inClusterConfiguration, kubeConfiguration, serverUrl } from './configuration.ts';
import { createKubeClient, resources } from './index.ts';
import { parseKubeconfig } from './kubeconfig.ts';
import { FakeApi, sendStatus } from './testing/index.ts';

function kubeconfig(user: object, cluster: object = { server: 'https://10.0.0.1:6443' }): string {
  return JSON.stringify({
    'current-context': 'lab',
    contexts: [{ name: 'lab', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
  });
}

function temporaryDirectory(): { path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'sluice-kube-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test('certificates come inline or from files beside the kubeconfig', () => {
  const data = Buffer.from('PEM').toString('base64');
  const inline = parseKubeconfig(
    kubeconfig(
      { 'client-certificate-data': data, 'client-key-data': data },
      {
        server: 'https://10.0.0.1:6443',
        'certificate-authority-data': data,
      },
    ),
    { path: '/etc/kube/config' },
  );
  assert.deepEqual(inline, { servers: ['https://10.0.0.1:6443'], ca: 'PEM', cert: 'PEM', key: 'PEM' });
  const files = parseKubeconfig(kubeconfig({ 'client-certificate': 'c.crt', tokenFile: '/t' }), {
    path: '/etc/kube/config',
  });
  assert.deepEqual(files, { servers: ['https://10.0.0.1:6443'], certFile: '/etc/kube/c.crt', tokenFile: '/t' });
});

test('a kubeconfig that cannot be used says why', () => {
  const path = 'kc';
  assert.throws(() => parseKubeconfig('a: [', { path }), /kubeconfig kc: /);
  assert.throws(() => parseKubeconfig('{}', { path }), /no current-context/);
  assert.throws(() => parseKubeconfig(kubeconfig({}), { path, context: 'x' }), /no entry "x" in contexts/);
  assert.throws(() => parseKubeconfig(kubeconfig({}, {}), { path }), /has no server/);
  assert.throws(() => parseKubeconfig(kubeconfig({ token: 5 }), { path }), /token: 5 is not text/);
  assert.throws(() => kubeConfiguration({ kubeconfig: '/nonexistent' }), /kubeconfig: read \/nonexistent: ENOENT/);
});

test('servers that are given go before those of the source', () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'config');
  writeFileSync(path, kubeconfig({ token: 't' }));
  assert.deepEqual(kubeConfiguration({ kubeconfig: path, servers: ['https://a'] }).servers, ['https://a']);
  assert.deepEqual(kubeConfiguration({ kubeconfig: path, servers: [] }).servers, ['https://10.0.0.1:6443']);
});

test('in a pod the service account is used', () => {
  using directory = temporaryDirectory();
  assert.throws(() => inClusterConfiguration({}, directory.path), /no service account is mounted/);
  writeFileSync(join(directory.path, 'token'), 't');
  const environment = { KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' };
  assert.deepEqual(inClusterConfiguration(environment, directory.path).servers, ['https://[fd00::1]:443']);
  assert.equal(serverUrl('10.0.0.1', 6443), 'https://10.0.0.1:6443');
});

test('a token that was rotated is read again when the old one is refused', async () => {
  using directory = temporaryDirectory();
  mkdirSync(directory.path, { recursive: true });
  const tokenFile = join(directory.path, 'token');
  writeFileSync(tokenFile, 'old\n');
  await using api = await FakeApi.start();
  api.store.put('nodes', { metadata: { name: 'n' } });
  api.fault = (request, response) => {
    if (request.headers.authorization === 'Bearer newer') return false;
    sendStatus(response, 401, 'Unauthorized', 'who?');
    return true;
  };
  using client = createKubeClient({ servers: [api.url], tokenFile });
  await assert.rejects(client.get(resources.nodes, { name: 'n' }), { status: 401 });
  writeFileSync(tokenFile, 'newer\n');
  await client.get(resources.nodes, { name: 'n' });
});

test('a token with a line break in it is refused', () => {
  assert.throws(() => createKubeClient({ servers: ['http://127.0.0.1:1'], token: 'a\nb: c' }), /is not one/);
});
