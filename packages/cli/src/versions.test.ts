import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type SluicePod, type SluiceWorkload, versionOfImage } from './sluice-pods.ts';
import { outOfStep, type VersionReport } from './versions.ts';

const image = (version: string) => `registry.lan:5000/sluice:${version}`;

function pod(program: SluicePod['program'], node: string, changes: Partial<SluicePod> = {}): SluicePod {
  const name = `${program}-${node}`;
  return {
    program,
    namespace: 'kube-system',
    name,
    node,
    containers: [program],
    image: image('0.2.0'),
    imageId: 'sha256:a',
    ready: true,
    why: '',
    ...changes,
  };
}

const daemonSet: SluiceWorkload = {
  program: 'agent',
  kind: 'DaemonSet',
  namespace: 'kube-system',
  name: 'sluice',
  image: image('0.2.0'),
  chart: 'sluice-0.2.0',
};

const inStep: VersionReport = {
  client: '0.2.0',
  agent: undefined,
  cluster: {
    nodes: ['n1', 'n2'],
    workloads: [daemonSet],
    pods: [pod('agent', 'n1'), pod('agent', 'n2'), pod('operator', 'n1')],
  },
};

function withPods(...pods: SluicePod[]): VersionReport {
  return { ...inStep, cluster: { nodes: ['n1', 'n2'], workloads: [daemonSet], pods } };
}

test('one version everywhere is in step, with or without a cluster', () => {
  assert.deepEqual(outOfStep(inStep), []);
  assert.deepEqual(outOfStep({ client: '0.2.0', agent: '0.2.0', cluster: undefined }), []);
  assert.deepEqual(outOfStep({ client: '0.2.0', agent: undefined, cluster: undefined }), []);
});

test('the older one of two is named, and 0.10 is newer than 0.9', () => {
  const stale = /^this command is 0\.9\.0, the newest here is 0\.10\.0: take it from the newer release$/;
  assert.match(outOfStep({ client: '0.9.0', agent: '0.10.0', cluster: undefined }).join('\n'), stale);
  const agent = /^this node's agent is 0\.9\.0, the newest here is 0\.10\.0/;
  assert.match(outOfStep({ client: '0.10.0', agent: '0.9.0', cluster: undefined }).join('\n'), agent);
});

test('a roll that has not come to a node is told with the command that shows it', () => {
  const lines = outOfStep(
    withPods(pod('agent', 'n1'), pod('agent', 'n2', { image: image('0.1.0') }), pod('operator', 'n1')),
  );
  assert.deepEqual(lines, [
    'agent on n2 is 0.1.0, the newest here is 0.2.0: helm upgrade, or see whether its roll goes on',
    'agent on n2 runs registry.lan:5000/sluice:0.1.0, its DaemonSet names registry.lan:5000/sluice:0.2.0: kubectl -n kube-system rollout status daemonset/sluice',
  ]);
});

test('a tag that is another image on another node is told', () => {
  const lines = outOfStep(
    withPods(pod('agent', 'n1'), pod('agent', 'n2', { imageId: 'sha256:b' }), pod('operator', 'n1')),
  );
  assert.deepEqual(lines, [
    'registry.lan:5000/sluice:0.2.0 is 2 images: sha256:a on n1; sha256:b on n2; give each build a tag of its own',
  ]);
});

test('a node without an agent and a cluster without an operator are told, and one without either', () => {
  assert.deepEqual(outOfStep(withPods(pod('agent', 'n2'))), [
    'no agent on n1',
    'no operator: new nodes get no pod CIDR and new pods no identity',
  ]);
  const cluster = { nodes: ['n1'], workloads: [], pods: [] };
  assert.deepEqual(outOfStep({ ...inStep, cluster }), ['no agent and no operator runs as a pod of this cluster']);
});

test("an image's version is its tag", () => {
  assert.equal(versionOfImage('localhost/sluice:0.1.0'), '0.1.0');
  assert.equal(versionOfImage('registry:5000/sluice:v0.1.0@sha256:abc'), '0.1.0');
  assert.equal(versionOfImage('registry:5000/sluice'), 'unknown');
  assert.equal(versionOfImage('sluice@sha256:abc'), 'unknown');
});
