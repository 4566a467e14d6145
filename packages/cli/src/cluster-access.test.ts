import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { resources } from '@sluice/kube';
import { testCertificates } from '@sluice/kube/testing';
import { openCluster } from './cluster-access.ts';
import { execInPod } from './connectivity/exec.ts';
import { environmentProxy } from './environment-proxy.ts';
import { agent, sluice } from './test-agent.ts';
import { folder } from './test-archive.ts';
import { serveCommands, type TestCluster, testCluster } from './test-cluster.ts';
import { statusReport } from './test-report.ts';

const nodesAsked = ({ api }: TestCluster): number => api.requests.filter(({ path }) => path === '/api/v1/nodes').length;

test('the cluster may be named before the command or after it, by several files, or lie where kubectl has it', async () => {
  using place = folder();
  await using cluster = await testCluster(['n1']);
  const { contexts, ...rest } = JSON.parse(readFileSync(cluster.kubeconfig, 'utf8'));
  const other = join(place.path, 'other');
  writeFileSync(other, JSON.stringify({ contexts: [{ ...contexts[0], name: 'second' }] }));
  mkdirSync(join(place.path, '.kube'));
  writeFileSync(join(place.path, '.kube/config'), JSON.stringify({ ...rest, contexts }));
  const file = cluster.kubeconfig;
  const both = `${other}:${join(place.path, 'nowhere')}::${file}`;
  const ways: [string[], Record<string, string>][] = [
    [['--kubeconfig', file, 'version'], {}],
    [['--kubeconfig', file, '--context', 'c', 'version'], {}],
    [['--context', 'c', 'version', '--kubeconfig', file], {}],
    [['version', '--context', 'second'], { KUBECONFIG: both }],
    [['--context', 'second', 'version'], { KUBECONFIG: both }],
    [['version'], { HOME: place.path }],
    [['version', '--context', 'c'], { HOME: place.path }],
  ];
  for (const [index, [args, environment]] of ways.entries()) {
    const { err, exitCode } = await sluice(args, environment);
    assert.deepEqual([exitCode, err, nodesAsked(cluster)], [0, '', index + 1], args.join(' '));
  }
  // Where an agent is asked, a file at home is no reason to ask a cluster as well.
  using server = await agent({ '/version': { version: '0.1.0' }, '/status': statusReport });
  await sluice(['version', '--socket', server.socket], { HOME: place.path });
  await sluice(['status', '--socket', server.socket], { HOME: place.path });
  assert.equal(nodesAsked(cluster), ways.length);
});

test('a cluster for a command that asks the agent of this node is refused, not passed over', async () => {
  const named = await sluice(['--context', 'c', 'map', 'list']);
  assert.deepEqual(named, {
    out: '',
    err: 'sluice: --context: sluice map list asks the agent of this node, not a cluster\n',
    exitCode: 2,
  });
  assert.equal((await sluice(['--kubeconfig', 'f', 'doctor'])).exitCode, 2);
});

test('a proxy of the environment is for servers that are not excepted, and never for this machine', () => {
  const environment = { HTTPS_PROXY: 'proxy:3128', no_proxy: 'example.com, .lan,10.0.0.0/8, 192.0.2.1:6443,fd00::/8' };
  const of = (server: string) => environmentProxy(server, environment);
  for (const server of [
    'https://kube.org:6443',
    'https://lan',
    'https://11.0.0.1',
    'https://192.0.2.1',
    'https://[fe80::1]',
  ])
    assert.equal(of(server), 'http://proxy:3128', server);
  for (const server of [
    ...[
      'https://example.com',
      'https://a.example.com:6443',
      'https://a.lan',
      'https://10.9.9.9',
      'https://192.0.2.1:6443',
    ],
    ...[
      'https://[fd00::1]:6443',
      'https://localhost:6443',
      'https://127.0.0.5',
      'https://[::1]',
      'http://kube.org',
      'nonsense',
    ],
  ])
    assert.equal(of(server), undefined, server);
  assert.equal(environmentProxy('https://x', { https_proxy: 'https://p', NO_PROXY: '*' }), undefined);
  assert.equal(environmentProxy('https://x', { https_proxy: 'https://p' }), 'https://p');
});

/** Leads tunnels (CONNECT) to where they are to go, and keeps where that was. */
async function proxy() {
  const tunnels: string[] = [];
  const sockets = new Set<Socket>();
  const server = createServer();
  server.on('connection', (socket: Socket) => void sockets.add(socket.on('error', () => undefined)));
  server.on('connect', ({ url = '', headers }: IncomingMessage, client: Socket) => {
    tunnels.push(`${url} ${headers['proxy-authorization'] ?? ''}`);
    const [host = '', port = ''] = url.split(':');
    const target = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      target.pipe(client).pipe(target);
    });
    target.on('error', () => client.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    tunnels,
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test('requests and commands in pods go by the proxy that the kubeconfig names', async () => {
  using between = await proxy();
  const { ca, serverCert: cert, serverKey: key } = testCertificates;
  const cluster = {
    'proxy-url': `http://me:sesame@127.0.0.1:${between.port}`,
    'certificate-authority-data': Buffer.from(ca).toString('base64'),
  };
  await using kubernetes = await testCluster(['n1'], { token: 't' }, cluster, { tls: { cert, key } });
  serveCommands(kubernetes.api, async (_pod, _command, out) => {
    out.write('by the proxy');
    return 0;
  });
  const { signal } = new AbortController();
  const context = { environment: {}, out: { write: () => 0 }, err: { write: () => 0 }, signal };
  const access = openCluster({ kubeconfig: kubernetes.kubeconfig, context: undefined }, context);
  using client = access.client;
  assert.equal((await client.list(resources.nodes)).items.length, 1);
  const target = { namespace: 'kube-system', pod: 'sluice-agent-n1', command: ['true'] };
  assert.equal((await execInPod(access, target, signal)).stdout, 'by the proxy');
  const way = `127.0.0.1:${kubernetes.api.port} Basic ${Buffer.from('me:sesame').toString('base64')}`;
  assert.ok(between.tunnels.length > 0);
  assert.deepEqual(new Set(between.tunnels), new Set([way]));
});
