import assert from 'node:assert/strict';
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { sendStatus } from '@sluice/kube/testing';
import { agent, sluice } from '../test-agent.ts';
import { folder, unpacked } from '../test-archive.ts';
import { podObject, testCluster } from '../test-cluster.ts';
import { statusReport } from '../test-report.ts';

const answers: Readonly<Record<string, unknown>> = {
  '/version': { version: '0.1.0' },
  '/status': statusReport,
  '/tables': [{ name: 'nodes', rows: 3 }],
  '/tables/nodes': '{"name":"nodes"}\n{"row":1}\n{"row":2}\n{"row":3}\n',
  '/maps': [
    { name: 'frontends', type: 'hash', maxEntries: 9 },
    { name: 'packets', type: 'percpu_array', maxEntries: 1 },
  ],
  '/maps/frontends?limit=3': '{"key":1,"value":1}\n',
  '/events?type=drop&type=trace&last=1000': [{ type: 'drop', packet: 'c0ffee', reason: 'No backend' }],
};

test('the archive has what the agent tells, of long tables the beginning, and says what is not there', async () => {
  using place = folder();
  using server = await agent(answers);
  const log = join(place.path, 'agent.log');
  writeFileSync(log, 'it began\n');
  const output = join(place.path, 'dump.tar.gz');
  const args = ['sysdump', '--output', output, '--rows', '2', '--log', log, '--socket', server.socket];
  const { out, err, exitCode } = await sluice(args);
  assert.equal(exitCode, 0);
  assert.match(out, /dump\.tar\.gz: \d+ files, \d+\.\d KiB\n$/);
  const files = unpacked(output);
  assert.match(files.get('node/status.txt') ?? '', /^Node: +k8s-cp1 /);
  assert.equal(JSON.parse(files.get('node/status.json') ?? '').node, 'k8s-cp1');
  assert.equal(
    files.get('node/tables/nodes.jsonl'),
    '{"name":"nodes"}\n{"row":1}\n{"cut":"there are more than these 2"}\n',
  );
  assert.equal(files.get('node/maps/frontends.jsonl'), '{"key":1,"value":1}\n');
  assert.deepEqual(
    [...files.keys()].filter((path) => path.includes('packets')),
    [],
  );
  assert.match(files.get('node/events.json') ?? '', /"packet": "\[redacted\]",\n +"reason": "No backend"/);
  assert.match(files.get('node/network.json') ?? '', /"name": "lo"/);
  assert.equal([...files].find(([path]) => path.startsWith('node/logs/'))?.[1], 'it began\n');
  assert.match(files.get('missing.txt') ?? '', /^node\/programs\.json: agent answers 404 to \/programs/m);
  assert.match(err, /^not there: node\/programs\.json: agent answers 404/m);
  assert.equal(statSync(output).mode & 0o777, 0o600);
  const again = await sluice(args);
  assert.deepEqual([again.exitCode, /--output .*: EEXIST/.test(again.err)], [2, true]);
});

test('without an agent the rest is there, and one line says so', async () => {
  using place = folder();
  const output = join(place.path, 'dump.tar.gz');
  const { err, exitCode } = await sluice(['sysdump', '-o', output, '--socket', '/nowhere/sluice.sock']);
  assert.equal(exitCode, 0);
  assert.match(err, /^not there: node\/agent: agent at \/nowhere\/sluice\.sock: no agent runs here/m);
  assert.equal(err.match(/no agent runs here/g)?.length, 1);
  assert.match(unpacked(output).get('node/doctor.txt') ?? '', /no agent could be asked/);
});

test('the operator’s metrics are there as Prometheus gets them, or why not', async () => {
  using place = folder();
  await using cluster = await testCluster(['n1']);
  let metrics: string | undefined = 'sluice_operator_leading 1\n';
  cluster.api.fault = ({ path }, response) => {
    if (path !== '/api/v1/namespaces/kube-system/pods/sluice-operator-n1:9963/proxy/metrics') return false;
    if (metrics === undefined) sendStatus(response, 503, 'ServiceUnavailable', 'connection refused');
    else response.end(metrics);
    return true;
  };
  const dump = async (name: string) => {
    const output = join(place.path, name);
    const { exitCode } = await sluice(['sysdump', '-o', output, '--kubeconfig', cluster.kubeconfig]);
    assert.equal(exitCode, 0);
    return unpacked(output);
  };
  const path = 'cluster/metrics/kube-system_sluice-operator-n1.txt';
  assert.equal((await dump('there.tar.gz')).get(path), metrics);
  metrics = undefined;
  const files = await dump('not.tar.gz');
  assert.equal(files.has(path), false);
  const why =
    files
      .get('missing.txt')
      ?.split('\n')
      .find((line) => line.startsWith(`${path}: `)) ?? '';
  assert.match(why, /connection refused; there are none where operator\.prometheus\.port says another port than 9963/);
});

/** One for each place where a secret may be; none of them is a part of another. */
const canary = (place: string) => `c4n4ry-${place}-c04l-m1n3`;
const canaries = [
  ...['annotation', 'applied', 'pod-env', 'node-annotation', 'environment', 'kubeconfig', 'token-file', 'log-bearer'],
  ...[
    'log-option',
    'event-url',
    'custom-resource',
    'previous-log',
    'local-log',
    'table-row',
    'secret-object',
    'config',
  ],
].map(canary);

test('no secret is in the archive, wherever one was', async () => {
  using place = folder();
  const tokenFile = join(place.path, 'token');
  writeFileSync(tokenFile, canary('token-file'));
  await using cluster = await testCluster(['n1'], { token: canary('kubeconfig'), tokenFile });
  const { store } = cluster.api;
  const annotated = (name: string, more: object) => ({
    metadata: {
      name,
      namespace: 'default',
      annotations: {
        note: canary('annotation'),
        'kubectl.kubernetes.io/last-applied-configuration': JSON.stringify({ x: canary('applied') }),
      },
      managedFields: [{ fieldsV1: { 'f:note': canary('applied') } }],
    },
    ...more,
  });
  store.put('services', annotated('web', { spec: { clusterIP: '10.96.0.7' } }));
  store.put('nodes', { metadata: { name: 'n1', annotations: { join: canary('node-annotation') } } });
  // Known because this process has them; nothing around them tells.
  store.put('events', annotated('e1', { message: `saw ${canary('environment')} and ${canary('kubeconfig')}` }));
  store.put('events', annotated('e2', { message: `${canary('token-file')}; http://me:${canary('event-url')}@proxy/` }));
  store.put('ciliumthings', annotated('t', { spec: { password: canary('custom-resource') } }));
  store.put('secrets', annotated('s', { data: { x: canary('secret-object') } }));
  const pod = podObject('agent', 'n1');
  const [container] = pod.spec.containers;
  const env = [{ name: 'HARMLESS', value: canary('pod-env') }];
  store.put('pods', { ...pod, spec: { ...pod.spec, containers: [{ ...container, env }] } });
  cluster.api.fault = ({ path, query }, response) => {
    const text = served(path, query);
    if (text !== undefined) response.end(text);
    return text !== undefined;
  };
  const log = join(place.path, 'agent.log');
  writeFileSync(log, `began\n{"level":"info","token":"${canary('local-log')}"}\n`);
  using server = await agent({
    ...answers,
    '/tables/nodes': `${JSON.stringify({ row: { annotations: { a: canary('table-row') } } })}\n`,
    '/config': { options: [], values: { apiKey: canary('config') } },
  });
  const output = join(place.path, 'dump.tar.gz');
  const args = ['sysdump', '--output', output, '--log', log, '--kubeconfig', cluster.kubeconfig];
  const { err, out, exitCode } = await sluice([...args, '--socket', server.socket], {
    MY_TOKEN: canary('environment'),
  });
  assert.equal(exitCode, 0, err);
  const files = unpacked(output);
  // What held them is there, or this would prove nothing.
  for (const [path, word] of [
    ['cluster/objects/services.jsonl', '10.96.0.7'],
    ['cluster/objects/nodes.jsonl', '"join"'],
    ['cluster/objects/events.jsonl', 'saw [redacted] and [redacted]'],
    ['cluster/objects/ciliumthings.cilium.io.jsonl', '"password"'],
    ['cluster/pods/kube-system_sluice-agent-n1.json', 'HARMLESS'],
    ['cluster/logs/kube-system_sluice-agent-n1.log', 'began now'],
    ['cluster/logs/kube-system_sluice-agent-n1.previous.log', 'began before'],
    ['node/tables/nodes.jsonl', '"annotations"'],
    ['node/config.json', '"apiKey"'],
  ] as const)
    assert.ok(files.get(path)?.includes(word), `${path}: ${files.get(path)}`);
  assert.match([...files].find(([path]) => path.endsWith('agent.log'))?.[1] ?? '', /began/);
  assert.equal(cluster.api.requests.filter(({ path }) => /secrets|configmaps/.test(path)).length, 0);
  const everything = [gunzipSync(readFileSync(output)).toString('latin1'), err, out].join('\n');
  for (const secret of canaries) {
    assert.equal(everything.includes(secret), false, secret);
    assert.equal(everything.includes(Buffer.from(secret).toString('base64')), false, `${secret} in base64`);
  }
});

function served(path: string, query: URLSearchParams): string | undefined {
  const name = { name: 'ciliumthings', kind: 'CiliumThing', namespaced: true };
  if (path === '/apis/cilium.io') return JSON.stringify({ versions: [{ version: 'v2' }] });
  if (path === '/apis/cilium.io/v2') return JSON.stringify({ resources: [name, { name: 'ciliumthings/status' }] });
  if (!path.endsWith('/log')) return undefined;
  if (query.get('previous') === 'true') return `began before\nAuthorization: Bearer ${canary('previous-log')}\n`;
  return `began now\nbearer ${canary('log-bearer')}\n--token ${canary('kubeconfig')} --token=${canary('log-option')}\n`;
}
