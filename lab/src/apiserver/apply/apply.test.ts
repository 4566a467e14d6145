import assert from 'node:assert/strict';
import { beforeEach, test } from 'node:test';
import { parsePrefix } from '@sluice/net';
import { ApiError } from '../api-error.ts';
import type { VersionedWriteOptions } from '../cluster.ts';
import { Cluster } from '../cluster.ts';
import type { JsonObject } from '../object.ts';

let cluster: Cluster;

beforeEach(() => {
  cluster = new Cluster({
    ipv4: parsePrefix('10.96.0.0/16'),
    ipv6: parsePrefix('fd00:10:96::/112'),
    nodePorts: { first: 30_000, last: 32_767 },
  });
  cluster.create('namespaces', { metadata: { name: 'default' } });
});

const target = { name: 'x', namespace: 'default' };

type Kind = 'services' | 'deployments.apps' | 'configmaps';

function apply(id: Kind, body: JsonObject, options: VersionedWriteOptions & { by?: string } = {}) {
  const { by: fieldManager = 'me', ...rest } = options;
  return cluster.patch(id, target, { type: 'apply', body: { metadata: {}, ...body } }, { fieldManager, ...rest });
}

const managersOf = (id: Kind) =>
  (cluster.get(id, 'x', 'default')?.metadata.managedFields ?? []).map(({ manager, subresource, fieldsV1 }) => [
    subresource ? `${manager} ${subresource}` : manager,
    fieldsV1,
  ]);
const dataOf = () => cluster.get('configmaps', 'x', 'default')?.data;

test('what is not there is created, the same again is no new version, and a change is one', () => {
  const first = apply('configmaps', { data: { a: '1' } });
  assert.deepEqual(managersOf('configmaps'), [['me', { 'f:data': { 'f:a': {} } }]]);
  const again = apply('configmaps', { data: { a: '1' } });
  assert.equal(again.metadata.resourceVersion, first.metadata.resourceVersion);
  const changed = apply('configmaps', { data: { a: '2' } });
  assert.notEqual(changed.metadata.resourceVersion, first.metadata.resourceVersion);
  assert.equal(changed.metadata.uid, first.metadata.uid);
});

test('a field that its manager no longer mentions goes; what others set stays', () => {
  apply('configmaps', { metadata: { labels: { mine: 'x', both: 'x' } }, data: { a: '1', b: '2' } });
  cluster.modify('configmaps', target, (draft) => Object.assign(draft.metadata.labels ?? {}, { theirs: 'x' }));
  apply('configmaps', { metadata: { labels: { both: 'x' } }, data: { b: '2' } }, { by: 'other' });
  apply('configmaps', { data: { a: '1' } });
  const { metadata } = cluster.get('configmaps', 'x', 'default') ?? {};
  assert.deepEqual(metadata?.labels, { both: 'x', theirs: 'x' });
  assert.deepEqual(dataOf(), { a: '1', b: '2' });
  apply('configmaps', {}, { by: 'other' });
  assert.deepEqual(dataOf(), { a: '1' });
  assert.deepEqual(managersOf('configmaps'), [['me', { 'f:data': { 'f:a': {} } }]]);
});

test('who changes a field has it from then on: its former manager may leave it out', () => {
  const spec = { selector: { matchLabels: { a: 'b' } }, template: podTemplate() };
  apply('deployments.apps', { spec: { ...spec, replicas: 3 } });
  cluster.modify('deployments.apps', target, (draft) => {
    draft.spec.replicas = 5;
  });
  apply('deployments.apps', { spec });
  assert.equal(cluster.get('deployments.apps', 'x', 'default')?.spec.replicas, 5);
});

test('of two managers the later one wins, and nothing conflicts', () => {
  apply('configmaps', { data: { a: '1', b: '1' } });
  apply('configmaps', { data: { a: '2' } }, { by: 'other' });
  assert.deepEqual(dataOf(), { a: '2', b: '1' });
  assert.deepEqual(managersOf('configmaps'), [
    ['me', { 'f:data': { 'f:b': {} } }],
    ['other', { 'f:data': { 'f:a': {} } }],
  ]);
});

test('elements are found by their keys, TCP and UDP of one port apart, and dropped one by one', () => {
  const ports = (...list: JsonObject[]) => ({ spec: { selector: { a: 'b' }, ports: list } });
  const [dns, dnsTcp, web] = [
    { name: 'dns', port: 53, protocol: 'UDP' },
    { name: 'dns-tcp', port: 53 },
    { name: 'web', port: 80 },
  ];
  apply('services', ports(dns, dnsTcp));
  apply('services', ports(web), { by: 'other' });
  const names = () => cluster.get('services', 'x', 'default')?.spec.ports?.map(({ name }) => name);
  assert.deepEqual(names(), ['dns', 'dns-tcp', 'web']);
  apply('services', ports(dnsTcp));
  assert.deepEqual(names(), ['dns-tcp', 'web']);
  const mine = managersOf('services').find(([manager]) => manager === 'me');
  assert.deepEqual(mine?.[1], {
    'f:spec': {
      'f:selector': {},
      'f:ports': { 'k:{"port":53,"protocol":"TCP"}': { '.': {}, 'f:name': {}, 'f:port': {} } },
    },
  });
});

test('what is one as a whole is replaced as a whole', () => {
  const spec = (matchLabels: JsonObject) => ({ spec: { selector: { matchLabels }, template: podTemplate() } });
  apply('deployments.apps', spec({ a: 'b' }));
  assert.throws(() => apply('deployments.apps', spec({ c: 'd' })), /spec.selector.*field is immutable/);
  const service = (selector: JsonObject) => ({ spec: { selector, ports: [{ port: 80 }] } });
  apply('services', service({ a: 'b' }));
  apply('services', service({ c: 'd' }), { by: 'other' });
  assert.deepEqual(cluster.get('services', 'x', 'default')?.spec.selector, { c: 'd' });
});

test('values of a set have an owner each', () => {
  const finalizers = (...names: string[]) => ({ metadata: { finalizers: names } });
  apply('configmaps', finalizers('a/b', 'c/d'));
  apply('configmaps', finalizers('e/f'), { by: 'other' });
  apply('configmaps', finalizers('c/d'));
  assert.deepEqual(cluster.get('configmaps', 'x', 'default')?.metadata.finalizers, ['c/d', 'e/f']);
});

test('the status is applied apart, through its subresource, and only to what is there', () => {
  const status = { status: { observedGeneration: 7 } };
  assert.throws(() => apply('deployments.apps', status, { subresource: 'status' }), /not found/);
  apply('deployments.apps', { spec: { selector: { matchLabels: { a: 'b' } }, template: podTemplate() } });
  apply('deployments.apps', status, { subresource: 'status' });
  assert.equal(cluster.get('deployments.apps', 'x', 'default')?.status.observedGeneration, 7);
  assert.deepEqual(
    managersOf('deployments.apps').map(([manager]) => manager),
    ['me', 'me status'],
  );
});

test('a dry run leaves nothing, neither of the object nor of its managers', () => {
  const dry = apply('configmaps', { data: { a: '1' } }, { dryRun: true });
  assert.deepEqual(dry.data, { a: '1' });
  assert.equal(cluster.get('configmaps', 'x', 'default'), undefined);
  apply('configmaps', { data: { a: '1' } });
  assert.deepEqual(apply('configmaps', {}, { dryRun: true }).data, undefined);
  assert.deepEqual(dataOf(), { a: '1' });
});

test('without a manager, with managed fields, of another name or with a stale version it is refused', () => {
  const refusal = (run: () => unknown) => {
    try {
      run();
    } catch (error) {
      return error instanceof ApiError ? `${error.code} ${error.message}` : String(error);
    }
    return 'taken';
  };
  assert.match(
    refusal(() => apply('configmaps', {}, { by: '' })),
    /^422 .*fieldManager: Required value/,
  );
  assert.match(
    refusal(() => apply('configmaps', { metadata: { managedFields: [] } })),
    /^400 .*must be nil/,
  );
  assert.match(
    refusal(() => apply('configmaps', { metadata: { name: 'y' } })),
    /^400 .*does not match/,
  );
  apply('configmaps', {});
  assert.match(
    refusal(() => apply('configmaps', { metadata: { resourceVersion: '1' } })),
    /^409/,
  );
  assert.match(
    refusal(() => apply('configmaps', { data: { a: 1 } })),
    /^400 .*cannot unmarshal number/,
  );
});

function podTemplate(): JsonObject {
  return { metadata: { labels: { a: 'b' } }, spec: { containers: [{ name: 'c', image: 'i' }] } };
}
