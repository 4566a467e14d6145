import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { parsePrefix } from '@sluice/net';
import { parse } from 'yaml';
import { ApiError } from './api-error.ts';
import { Cluster } from './cluster.ts';
import type { NewObject } from './object.ts';
import { createStandardObjects } from './server.ts';

function newCluster(): Cluster {
  const cluster = new Cluster({
    ipv4: parsePrefix('10.96.0.0/16'),
    ipv6: parsePrefix('fd00:10:96::/112'),
    nodePorts: { first: 30_000, last: 32_767 },
  });
  createStandardObjects(cluster, ['10.96.0.0/16', 'fd00:10:96::/112']);
  return cluster;
}

function refusal(action: () => unknown): ApiError {
  try {
    action();
  } catch (error) {
    if (error instanceof ApiError) return error;
    throw error;
  }
  throw new assert.AssertionError({ message: 'it was not refused' });
}

const pod = (name: string, spec: object = {}): NewObject => ({
  metadata: { name, namespace: 'default' },
  spec: { containers: [{ name: 'c', image: 'x' }], ...spec },
});
const target = (name: string) => ({ name, namespace: 'default' });

test('a second create of a name is refused, in the words of the real server', () => {
  const cluster = newCluster();
  cluster.create('pods', pod('p'));
  const error = refusal(() => cluster.create('pods', pod('p')));
  assert.deepEqual([error.code, error.reason, error.message], [409, 'AlreadyExists', 'pods "p" already exists']);
});

test('a write with a stale resourceVersion is a conflict, one without is not', () => {
  const cluster = newCluster();
  const first = cluster.create('configmaps', { metadata: target('c'), data: { a: '1' } });
  cluster.update('configmaps', { metadata: target('c'), data: { a: '2' } });
  const error = refusal(() => cluster.update('configmaps', { ...first, data: { a: '3' } }));
  assert.equal(error.code, 409);
  assert.match(
    error.message,
    /^Operation cannot be fulfilled on configmaps "c": the object has been modified; please apply your changes/,
  );
});

test('status changes only through its subresource, spec only without', () => {
  const cluster = newCluster();
  const created = cluster.create('pods', { ...pod('p'), status: { phase: 'Running' } });
  assert.equal(created.status.phase, 'Pending');
  cluster.update('pods', {
    ...created,
    metadata: { ...target('p'), labels: { a: 'b' } },
    status: { phase: 'Running' },
  });
  assert.equal(cluster.get('pods', 'p', 'default')?.status.phase, 'Pending');
  cluster.update('pods', { metadata: target('p'), spec: {}, status: { phase: 'Running' } }, { subresource: 'status' });
  const stored = cluster.get('pods', 'p', 'default');
  assert.deepEqual(
    [stored?.status.phase, stored?.metadata.labels, stored?.spec.containers.length],
    ['Running', { a: 'b' }, 1],
  );
});

test('a write that changes nothing is no new version; one of the spec counts a generation', () => {
  const cluster = newCluster();
  const template = { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'x' }] } };
  const body = { metadata: target('d'), spec: { selector: { matchLabels: { a: 'b' } }, template } };
  const created = cluster.create('deployments.apps', body);
  assert.equal(cluster.update('deployments.apps', body).metadata.resourceVersion, created.metadata.resourceVersion);
  const scaled = cluster.modify('deployments.apps', target('d'), (draft) => {
    draft.spec.replicas = 3;
  });
  assert.equal(scaled?.metadata.generation, 2);
  const labelled = cluster.modify('deployments.apps', target('d'), (draft) => {
    draft.metadata.labels = { x: 'y' };
  });
  assert.equal(labelled?.metadata.generation, 2);
});

test('a pod on a node waits for its kubelet, one without goes at once', () => {
  const cluster = newCluster();
  cluster.create('pods', pod('free'));
  cluster.create('pods', pod('placed', { nodeName: 'n1', terminationGracePeriodSeconds: 7 }));
  cluster.delete('pods', target('free'));
  assert.equal(cluster.get('pods', 'free', 'default'), undefined);
  cluster.delete('pods', target('placed'));
  assert.equal(cluster.get('pods', 'placed', 'default')?.metadata.deletionGracePeriodSeconds, 7);
  cluster.delete('pods', target('placed'), { gracePeriodSeconds: 0 });
  assert.equal(cluster.get('pods', 'placed', 'default'), undefined);
});

test('an object with a finalizer goes when the last one is taken off, and takes no new ones', () => {
  const cluster = newCluster();
  cluster.create('configmaps', { metadata: { ...target('c'), finalizers: ['example.com/hold'] } });
  cluster.delete('configmaps', target('c'));
  assert.ok(cluster.get('configmaps', 'c', 'default')?.metadata.deletionTimestamp);
  const more = refusal(() =>
    cluster.modify('configmaps', target('c'), (draft) => void draft.metadata.finalizers?.push('example.com/more')),
  );
  assert.match(more.message, /no new finalizers can be added if the object is being deleted/);
  cluster.modify('configmaps', target('c'), (draft) => {
    draft.metadata.finalizers = [];
  });
  assert.equal(cluster.get('configmaps', 'c', 'default'), undefined);
});

test('nothing is created in a namespace that is missing or going away', () => {
  const cluster = newCluster();
  assert.equal(
    refusal(() => cluster.create('pods', { ...pod('p'), metadata: { name: 'p', namespace: 'nope' } })).message,
    'namespaces "nope" not found',
  );
  cluster.create('namespaces', { metadata: { name: 'going' } });
  cluster.delete('namespaces', { name: 'going' });
  const error = refusal(() => cluster.create('pods', { ...pod('p'), metadata: { name: 'p', namespace: 'going' } }));
  assert.deepEqual([error.code, error.details?.causes?.[0]?.reason], [403, 'NamespaceTerminating']);
});

test('unknown fields are refused when strict, else dropped with a warning; wrong types always refused', () => {
  const cluster = newCluster();
  const odd = pod('p', { bogus: 1 });
  assert.match(
    refusal(() => cluster.create('pods', odd, { fieldValidation: 'Strict' })).message,
    /strict decoding error: unknown field "spec.bogus"/,
  );
  const warnings: string[] = [];
  assert.equal('bogus' in cluster.create('pods', odd, { warnings }).spec, false);
  assert.deepEqual(warnings, ['unknown field "spec.bogus"']);
  assert.match(
    refusal(() => cluster.create('pods', pod('q', { hostNetwork: 'yes' }))).message,
    /cannot unmarshal string into Go struct field PodSpec.spec.hostNetwork of type bool/,
  );
});

test('everything wrong with an object is said at once, with paths', () => {
  const cluster = newCluster();
  const containers = [
    { name: 'Bad_Name', ports: [{ containerPort: 70_000 }] },
    { name: 'c', image: 'x', ports: [{ containerPort: 1, protocol: 'ICMP' }] },
  ];
  const error = refusal(() => cluster.create('pods', pod('p', { containers })));
  assert.deepEqual(
    error.details?.causes?.map(({ field }) => field),
    [
      'spec.containers[0].name',
      'spec.containers[0].image',
      'spec.containers[0].ports[0].containerPort',
      'spec.containers[1].ports[0].protocol',
    ],
  );
});

test('a pod keeps its spec, except that it gets a node once', () => {
  const cluster = newCluster();
  cluster.create('pods', pod('p'));
  cluster.modify('pods', target('p'), (draft) => {
    draft.spec.nodeName = 'n1';
  });
  const error = refusal(() =>
    cluster.modify('pods', target('p'), (draft) => {
      draft.spec.nodeName = 'n2';
    }),
  );
  assert.match(error.message, /spec: Forbidden: pod updates may not change fields other than/);
});

test('a dry run answers like a write and leaves nothing', () => {
  const cluster = newCluster();
  const before = cluster.resourceVersion;
  assert.equal(
    cluster.create('services', { metadata: target('s'), spec: { ports: [{ port: 80 }] } }, { dryRun: true }).spec
      .clusterIPs?.length,
    1,
  );
  assert.equal(cluster.get('services', 's', 'default'), undefined);
  assert.equal(cluster.resourceVersion, before);
});

function withPools(): Cluster {
  const cluster = newCluster();
  for (const name of ['ciliumloadbalancerippools', 'ciliuml2announcementpolicies'])
    cluster.create(
      'customresourcedefinitions.apiextensions.k8s.io',
      parse(readFileSync(new URL(`../../../packages/operator/crds/${name}.yaml`, import.meta.url), 'utf8')),
    );
  return cluster;
}

test("the homelab's pool and policy are accepted, with defaults, and served in every version", () => {
  const cluster = withPools();
  for (const file of ['lb-pool', 'l2-policy']) {
    const object = parse(readFileSync(new URL(`../../../examples/homelab/${file}.yaml`, import.meta.url), 'utf8'));
    const id = file === 'lb-pool' ? 'ciliumloadbalancerippools.cilium.io' : 'ciliuml2announcementpolicies.cilium.io';
    cluster.create(id, object, { version: 'v2alpha1', fieldValidation: 'Strict' } as object);
  }
  const pool = cluster.get('ciliumloadbalancerippools.cilium.io', 'homelab-pool');
  assert.equal(pool?.apiVersion, 'cilium.io/v2');
  assert.deepEqual(pool?.spec, { blocks: [{ start: '10.10.30.20', stop: '10.10.30.99' }], disabled: false });
});

test('a pool that breaks its schema is refused with every reason', () => {
  const cluster = withPools();
  const spec = { allowFirstLastIPs: 'Maybe', blocks: [{ cidr: '10.0.0.0/99' }, 7], disabled: 'no' };
  const error = refusal(() =>
    cluster.create('ciliumloadbalancerippools.cilium.io', { metadata: { name: 'bad' }, spec }),
  );
  assert.deepEqual(error.details?.causes?.map(({ field }) => field).sort(), [
    'spec.allowFirstLastIPs',
    'spec.blocks[0].cidr',
    'spec.blocks[1]',
    'spec.disabled',
  ]);
});

test('the kind goes with its definition', () => {
  const cluster = withPools();
  cluster.delete('customresourcedefinitions.apiextensions.k8s.io', { name: 'ciliumloadbalancerippools.cilium.io' });
  assert.equal(
    refusal(() => cluster.create('ciliumloadbalancerippools.cilium.io', { metadata: { name: 'x' } })).code,
    404,
  );
});
