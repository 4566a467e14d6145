import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createKubeClient, kubeConfiguration, resources } from './index.ts';
import { parseKubeconfig, readKubeconfig, readKubeconfigs } from './kubeconfig.ts';
import { FakeApi, testCertificates } from './testing/index.ts';

const server = 'https://10.0.0.1:6443';

function kubeconfig(user: object, cluster: object = { server }): string {
  return JSON.stringify({
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'c', user: 'u' } }],
    clusters: [{ name: 'c', cluster }],
    users: [{ name: 'u', user }],
  });
}

const parse = (user: object, cluster?: object) =>
  parseKubeconfig(kubeconfig(user, cluster), { path: '/etc/kube/config' });

function folder() {
  const path = mkdtempSync(join(tmpdir(), `sluice-test-${process.pid}-`));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

const v1 = 'client.authentication.k8s.io/v1';

test('a user with exec is one of those versions, its command beside the kubeconfig or in PATH', () => {
  const exec = {
    apiVersion: v1,
    command: 'aws',
    args: ['eks'],
    env: [{ name: 'A', value: 'b' }],
    interactiveMode: 'Never',
  };
  assert.deepEqual(parse({ exec }).plugin, {
    apiVersion: v1,
    command: 'aws',
    args: ['eks'],
    env: { A: 'b' },
    interactiveMode: 'Never',
    installHint: undefined,
    clusterInfo: undefined,
  });
  const beta = { apiVersion: `${v1}beta1`, command: './bin/x', args: null, env: null, provideClusterInfo: true };
  const { command, interactiveMode, clusterInfo } = parse({ exec: beta }).plugin ?? {};
  assert.deepEqual([command, interactiveMode], ['/etc/kube/bin/x', 'IfAvailable']);
  assert.deepEqual(clusterInfo, { config: undefined });
  const refused = (change: object) => () => parse({ exec: { ...exec, ...change } });
  assert.throws(
    refused({ apiVersion: `${v1}alpha1` }),
    /"client.*v1alpha1" is none of .*; a newer version of the program/,
  );
  assert.throws(refused({ command: '' }), /user\.exec has no command|exec has no command/);
  assert.throws(refused({ interactiveMode: undefined }), /interactiveMode is to be one of Never, IfAvailable, Always/);
  assert.throws(refused({ interactiveMode: 'Maybe' }), /interactiveMode/);
  assert.throws(refused({ env: [{ value: 'x' }] }), /a variable has no name/);
});

test('what is written down goes before the program', () => {
  const exec = { apiVersion: v1, command: 'x', interactiveMode: 'Never' };
  assert.equal(parse({ exec, token: 't' }).plugin, undefined);
  assert.equal(parse({ exec, username: 'me', password: 'p' }).plugin, undefined);
  assert.equal(parse({ exec, token: '' }).plugin?.command, 'x');
});

test('a process that runs by itself starts no program for a login, and says why', () => {
  using place = folder();
  const path = join(place.path, 'config');
  writeFileSync(path, kubeconfig({ exec: { apiVersion: v1, command: 'x', interactiveMode: 'Never' } }));
  assert.throws(() => kubeConfiguration({ kubeconfig: path }), /a user with exec is for people at a terminal/);
  const configuration = readKubeconfig(path);
  assert.throws(() => createKubeClient(configuration), /nobody would run x/);
});

test('auth-provider and proxies of other kinds are told, without what they hold', () => {
  assert.throws(() => parse({ 'auth-provider': { name: 'gcp' } }), /auth-provider \(gcp\) is not supported; kubectl/);
  const socks = () => parse({}, { server, 'proxy-url': 'socks5://me:sesame@proxy:1080' });
  assert.throws(
    socks,
    (error: Error) => /proxy-url \(socks5\) is not/.test(error.message) && !error.message.includes('sesame'),
  );
  assert.equal(parse({}, { server, 'proxy-url': 'http://proxy:3128' }).proxyUrl, 'http://proxy:3128');
});

test('a server may have a path, a slash at its end, or no scheme', () => {
  const of = (cluster: object) => parse({}, cluster).servers;
  assert.deepEqual(of({ server: 'https://rancher/k8s/clusters/c-1/' }), ['https://rancher/k8s/clusters/c-1']);
  assert.deepEqual(of({ server: '10.0.0.1:6443', 'insecure-skip-tls-verify': true }), ['https://10.0.0.1:6443']);
  assert.deepEqual(of({ server: 'localhost:8080' }), ['http://localhost:8080']);
  assert.throws(() => of({ server: 'ftp://x' }), /server ftp:\/\/x is no address such as/);
  assert.throws(() => of({ server: 'https://[' }), /is no address such as/);
});

test('who asks in the name of somebody else says so in each request', async () => {
  await using api = await FakeApi.start();
  const user = {
    username: 'me',
    password: 'p',
    as: 'jané',
    'as-groups': ['a', 'b'],
    'as-user-extra': { Scopes: ['x'] },
  };
  using client = createKubeClient(parse(user, { server: `${api.url}/` }));
  await client.list(resources.nodes);
  const { headers, path } = api.requests[0] ?? {};
  assert.equal(path, '/api/v1/nodes');
  assert.equal(headers?.authorization, `Basic ${Buffer.from('me:p').toString('base64')}`);
  assert.equal(Buffer.from(String(headers?.['impersonate-user']), 'latin1').toString(), 'jané');
  assert.deepEqual([headers?.['impersonate-group'], headers?.['impersonate-extra-scopes']], ['a, b', 'x']);
  assert.throws(() => parse({ as: 'a\nb' }), /it has a character that no header may have/);
});

test('of several files the first that says something counts, each with paths of its own, and who is not there is passed over', () => {
  using place = folder();
  const write = (name: string, contents: object) => {
    const path = join(place.path, name, 'config');
    mkdirSync(join(place.path, name));
    writeFileSync(path, JSON.stringify(contents));
    return path;
  };
  const one = write('one', {
    'current-context': '',
    contexts: null,
    users: [{ name: 'u', user: { tokenFile: 'token' } }],
  });
  const two = write('two', {
    'current-context': 'c',
    contexts: [{ name: 'c', context: { cluster: 'k', user: 'u' } }],
    clusters: [{ name: 'k', cluster: { server, 'certificate-authority': 'ca.crt' } }],
    users: [{ name: 'u', user: { token: 'of the second', 'client-key': 'k' } }],
  });
  assert.deepEqual(readKubeconfigs([join(place.path, 'nowhere'), one, two]), {
    servers: [server],
    caFile: join(place.path, 'two/ca.crt'),
    tokenFile: join(place.path, 'one/token'),
  });
  assert.throws(() => readKubeconfigs([join(place.path, 'nowhere')]), /kubeconfig: read .*nowhere: ENOENT/);
  assert.throws(() => readKubeconfigs([one]), /no current-context; and no context at all/);
  assert.throws(() => readKubeconfigs([one, two], 'x'), /no entry "x" in contexts; it has c$/);
});

test('what is no kubeconfig is told in one line that names it', () => {
  using place = folder();
  const path = join(place.path, 'config');
  const tells = (content: string | Uint8Array) => {
    writeFileSync(path, content);
    return (error: Error) =>
      error.message.includes(path) && !error.message.includes('\n') && !error.message.includes('sesame');
  };
  for (const content of ['', '[]', 'hello', 'a: [', 'token: sesame\n\t- sesame: {', '{}', '\0\u0001\u0002', '5'])
    assert.throws(() => readKubeconfig(path), tells(content), JSON.stringify(content));
  assert.throws(() => readKubeconfig(path), tells(Uint8Array.from({ length: 5_000 }, (_, index) => index & 0xff)));
  assert.throws(() => readKubeconfig(place.path), /kubeconfig: read .*: EISDIR/);
  assert.throws(() => readKubeconfig('/dev/zero'), /larger than 16777216 bytes/);
});

test('certificates and keys that cannot be used are told before anything is asked, and which of them it is', () => {
  const garbage = Buffer.from('garbage').toString('base64');
  const client =
    (user: object, cluster: object = {}) =>
    () =>
      createKubeClient(parse(user, { server, ...cluster }));
  assert.throws(
    client({}, { 'certificate-authority-data': garbage }),
    /the authority of the API server's certificate cannot/,
  );
  assert.throws(
    client({ 'client-certificate-data': garbage, 'client-key-data': garbage }),
    /^KubeError: the client certificate cannot be used/,
  );
  const { clientCert, serverKey } = testCertificates;
  const base64 = (text: string) => Buffer.from(text).toString('base64');
  assert.throws(
    client({ 'client-certificate-data': base64(clientCert), 'client-key-data': garbage }),
    /key cannot be used/,
  );
  const others = { 'client-certificate-data': base64(clientCert), 'client-key-data': base64(serverKey) };
  assert.throws(client(others), /the client certificate and its key cannot be used: .*mismatch/);
  assert.throws(client({}, { 'certificate-authority': '/nonexistent/ca.crt' }), /read \/nonexistent\/ca\.crt: ENOENT/);
  assert.throws(client({ tokenFile: '/dev/zero' }), /read \/dev\/zero: it is larger than/);
});

test('anchors and merge keys of YAML are followed', () => {
  const text = `
current-context: c
contexts: [{ name: c, context: { cluster: k, user: u } }]
x: &tls { certificate-authority: /ca.crt }
clusters:
- name: k
  cluster: { <<: *tls, server: https://10.0.0.1:6443 }
users: [{ name: u, user: { token: t } }]`;
  assert.deepEqual(parseKubeconfig(text, { path: 'k' }), { servers: [server], caFile: '/ca.crt', token: 't' });
});
