import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Endpoints } from '@sluice/endpoint';
import { Identities } from '@sluice/identity';
import { type NamespaceObject, type PodObject, parseCiliumIdentity, parseNamespace, parsePod } from '@sluice/kube';
import { fakeClock } from '@sluice/runtime';
import { Controllers, Table } from '@sluice/state';
import type { Kubernetes } from './kubernetes.ts';
import { LocalIdentities } from './local-identities.ts';

/** What the API tells, and what the endpoints are told of it. */
function laboratory(labels: readonly string[] = []) {
  const table = <Row extends { readonly name: string }>(key: (row: Row) => string) =>
    new Table<Row>({ name: 'rows', key, columns: {} });
  const pods = table<PodObject>((row) => `${row.namespace}/${row.name}`);
  const namespaces = table<NamespaceObject>((row) => row.name);
  const identities = new Identities();
  const kubernetes = { pods, namespaces, identities } as Partial<Kubernetes> as Kubernetes;
  const values = { cluster: { name: 'homelab' }, labels };
  const local = new LocalIdentities({ kubernetes, values, controllers: new Controllers(fakeClock()) });
  const endpointTable = new Table<{ name: string; labels: readonly string[] }>({
    name: 'endpoints',
    key: (row) => row.name,
    columns: {},
  });
  const told: string[] = [];
  const endpoints = {
    table: endpointTable,
    labelsChanged: (namespace: string, name?: string) => told.push(`${namespace}/${name ?? '*'}`),
    identitiesChanged: () => told.push('numbers'),
  };
  local.follow(endpoints as unknown as Endpoints);
  return {
    local,
    told,
    endpoint: (name: string, own: readonly string[]) => endpointTable.upsert({ name, labels: own }),
    pod: (own: object) =>
      pods.upsert(parsePod({ metadata: { name: 'web', namespace: 'shop', labels: own }, spec: { nodeName: 'a' } })),
    namespace: (own: object) => namespaces.upsert(parseNamespace({ metadata: { name: 'shop', labels: own } })),
    identity: (id: number, own: Record<string, string>) =>
      identities.upsert(identities.read(parseCiliumIdentity({ metadata: { name: `${id}` }, 'security-labels': own }))),
    forget: (id: number) => identities.delete(`${id}`),
    identities,
  };
}

test('labels are known when the pod and its namespace are', () => {
  const lab = laboratory();
  lab.pod({ app: 'web' });
  assert.equal(lab.local.labelsOf('shop', 'web'), undefined);
  lab.namespace({ team: 'a' });
  assert.deepEqual(lab.local.labelsOf('shop', 'web'), [
    'k8s:app=web',
    'k8s:io.cilium.k8s.namespace.labels.team=a',
    'k8s:io.cilium.k8s.policy.cluster=homelab',
    'k8s:io.kubernetes.pod.namespace=shop',
  ]);
  assert.deepEqual(lab.told, ['shop/web', 'shop/*']);
});

test('the option labels decides here as it does at the operator', () => {
  const lab = laboratory(['k8s:app']);
  lab.pod({ app: 'web', tier: 'gold' });
  lab.namespace({});
  assert.deepEqual(
    lab.local.labelsOf('shop', 'web')?.filter((label) => !label.startsWith('k8s:io.')),
    ['k8s:app=web'],
  );
});

test('endpoints hear of their own numbers and not of those of 100,000 others', () => {
  const lab = laboratory();
  lab.endpoint('web', ['k8s:app=web']);
  lab.identity(300, { 'k8s:app': 'other' });
  lab.forget(300);
  assert.deepEqual(lab.told, []);
  lab.identity(301, { 'k8s:app': 'web' });
  assert.deepEqual(lab.told, ['numbers']);
  assert.equal(lab.local.identityOf(['k8s:app=web']), 301);
  lab.endpoint('late', ['k8s:never=seen']);
  lab.identity(302, { 'k8s:never': 'seen' });
  lab.forget(301);
  lab.identities.markInitialized();
  assert.deepEqual(lab.told, ['numbers', 'numbers', 'numbers', 'numbers']);
});
