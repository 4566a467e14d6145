import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { parsePrefix } from '@sluice/net';
import { Cluster } from '../apiserver/cluster.ts';
import type { EndpointSlice, Pod } from '../apiserver/index.ts';
import { createStandardObjects } from '../apiserver/server.ts';
import { startFakeKubelet } from './fake-kubelet.ts';
import { startControllers } from './start.ts';

let cluster: Cluster;
let running: Disposable[];
const failures: string[] = [];

beforeEach(() => {
  cluster = new Cluster({
    ipv4: parsePrefix('10.96.0.0/16'),
    ipv6: parsePrefix('fd00:10:96::/112'),
    nodePorts: { first: 30_000, last: 32_767 },
  });
  createStandardObjects(cluster, ['10.96.0.0/16', 'fd00:10:96::/112']);
  failures.length = 0;
  running = [
    startControllers(cluster, {
      apiServer: { address: '10.10.30.10', port: 6443 },
      log: (message) => failures.push(message),
    }),
  ];
});

afterEach(() => {
  for (const part of running) part[Symbol.dispose]();
  assert.deepEqual(failures, []);
});

/** Lets the loops work until nothing is written any more. */
async function settled(): Promise<void> {
  for (let quiet = 0, version = ''; quiet < 5; quiet++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (cluster.resourceVersion !== version) quiet = 0;
    version = cluster.resourceVersion;
  }
}

const target = (name: string) => ({ name, namespace: 'default' });
const startKubelet = (nodes = ['n1', 'n2', 'n3']) => running.push(startFakeKubelet(cluster, nodes));
const pods = () => cluster.list('pods', { namespace: 'default' });
const slices = (service: string) =>
  cluster.list('endpointslices.discovery.k8s.io', {
    namespace: 'default',
    labels: { matchLabels: { 'kubernetes.io/service-name': service } },
  });
const addresses = (list: EndpointSlice[]) =>
  list.flatMap((slice) => slice.endpoints.flatMap((endpoint) => endpoint.addresses)).sort();

function deploy(name: string, replicas: number, image = 'x'): void {
  const spec = { containers: [{ name: 'c', image, ports: [{ name: 'http', containerPort: 8080 }] }] };
  cluster.create('deployments.apps', {
    metadata: target(name),
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: { metadata: { labels: { app: name } }, spec },
    },
  });
}

function serve(name: string, spec: object = {}): void {
  cluster.create('services', {
    metadata: target(name),
    spec: {
      selector: { app: name },
      ipFamilyPolicy: 'PreferDualStack',
      ports: [{ port: 80, targetPort: 'http' }],
      ...spec,
    },
  });
}

function setReady(pod: Pod, status: 'True' | 'False'): void {
  cluster.modify(
    'pods',
    pod.metadata,
    (draft) => {
      draft.status.conditions = [{ type: 'Ready', status }];
    },
    {
      subresource: 'status',
    },
  );
}

test('a deployment becomes pods, spread over the nodes, and says that it is available', async () => {
  startKubelet();
  deploy('web', 6);
  await settled();
  const perNode = Map.groupBy(pods(), (pod) => pod.spec.nodeName);
  assert.deepEqual(
    [...perNode.values()].map((list) => list.length),
    [2, 2, 2],
  );
  const { status } = cluster.get('deployments.apps', 'web', 'default') ?? {};
  assert.deepEqual([status?.availableReplicas, status?.updatedReplicas, status?.observedGeneration], [6, 6, 1]);
  assert.deepEqual(
    status?.conditions?.map(({ type, status }) => `${type}=${status}`),
    ['Available=True', 'Progressing=True'],
  );
});

test('scaling down deletes pods, scaling to nothing all of them', async () => {
  startKubelet();
  deploy('web', 4);
  await settled();
  cluster.modify('deployments.apps', target('web'), (draft) => {
    draft.spec.replicas = 1;
  });
  await settled();
  assert.equal(pods().length, 1);
  cluster.modify('deployments.apps', target('web'), (draft) => {
    draft.spec.replicas = 0;
  });
  await settled();
  assert.equal(pods().length, 0);
});

test('a new template rolls through, keeps the old set for an undo, and never has too few pods', async () => {
  startKubelet();
  deploy('web', 3);
  await settled();
  let fewest = 3;
  running.push(
    cluster.watch('pods', () => {
      fewest = Math.min(
        fewest,
        pods().filter((pod) => !pod.metadata.deletionTimestamp && pod.status.phase === 'Running').length,
      );
    }),
  );
  fewest = 3;
  cluster.modify(
    'deployments.apps',
    target('web'),
    (draft) => void Object.assign(draft.spec.template.spec.containers[0] ?? {}, { image: 'y' }),
  );
  await settled();
  assert.deepEqual(
    pods().map((pod) => pod.spec.containers[0]?.image),
    ['y', 'y', 'y'],
  );
  assert.equal(fewest, 3);
  assert.deepEqual(
    cluster
      .list('replicasets.apps')
      .map((set) => set.spec.replicas)
      .sort(),
    [0, 3],
  );
});

test('pods wait until a node is there for them, and say why', async () => {
  deploy('web', 1);
  await settled();
  const condition = pods()[0]?.status.conditions?.find(({ type }) => type === 'PodScheduled');
  assert.deepEqual([condition?.status, condition?.message], ['False', 'no nodes available to schedule pods']);
  startKubelet();
  await settled();
  assert.equal(pods()[0]?.status.phase, 'Running');
});

test('a cordoned or tainted node gets no pods, unless they tolerate it', async () => {
  startKubelet(['n1', 'n2']);
  cluster.modify('nodes', { name: 'n1' }, (draft) => {
    draft.spec.unschedulable = true;
  });
  cluster.modify('nodes', { name: 'n2' }, (draft) => {
    draft.spec.taints = [{ key: 'k', value: 'v', effect: 'NoSchedule' }];
  });
  const spec = { containers: [{ name: 'c', image: 'x' }] };
  cluster.create('pods', { metadata: target('plain'), spec });
  cluster.create('pods', {
    metadata: target('tolerant'),
    spec: { ...spec, tolerations: [{ key: 'k', operator: 'Equal', value: 'v' }] },
  });
  await settled();
  assert.equal(cluster.get('pods', 'plain', 'default')?.spec.nodeName, undefined);
  assert.equal(cluster.get('pods', 'tolerant', 'default')?.spec.nodeName, 'n2');
});

test('a service with a selector gets a slice per family, with named ports, nodes and references', async () => {
  startKubelet();
  deploy('web', 2);
  serve('web');
  await settled();
  const [v4, v6] = slices('web').sort((a, b) => (a.addressType < b.addressType ? -1 : 1));
  assert.deepEqual([v4?.addressType, v6?.addressType], ['IPv4', 'IPv6']);
  assert.deepEqual(v4?.ports, [{ name: '', protocol: 'TCP', port: 8080 }]);
  const endpoint = v4?.endpoints[0];
  assert.deepEqual(endpoint?.conditions, { ready: true, serving: true, terminating: false });
  assert.equal(cluster.get('pods', endpoint?.targetRef?.name ?? '', 'default')?.spec.nodeName, endpoint?.nodeName);
});

test('a pod that is not ready stays in the slice, one that is terminating is not ready but may serve', async () => {
  startKubelet();
  deploy('web', 2);
  serve('web', { ipFamilyPolicy: 'SingleStack' });
  await settled();
  const [first, second] = pods();
  assert.ok(first && second);
  setReady(first, 'False');
  // A finalizer keeps it in its last state: this kubelet is quick.
  cluster.modify('pods', second.metadata, (draft) => {
    draft.metadata.finalizers = ['example.com/hold'];
  });
  cluster.delete('pods', second.metadata);
  await settled();
  const of = (pod: Pod) =>
    slices('web')[0]?.endpoints.find((endpoint) => endpoint.targetRef?.uid === pod.metadata.uid)?.conditions;
  assert.deepEqual(of(first), { ready: false, serving: false, terminating: false });
  assert.deepEqual(of(second), { ready: false, serving: true, terminating: true });
});

test('publishNotReadyAddresses makes every endpoint ready', async () => {
  startKubelet();
  deploy('web', 1);
  serve('web', { publishNotReadyAddresses: true });
  await settled();
  for (const pod of pods()) setReady(pod, 'False');
  await settled();
  assert.deepEqual(
    slices('web').flatMap((slice) => slice.endpoints.map(({ conditions }) => [conditions?.ready, conditions?.serving])),
    [
      [true, false],
      [true, false],
    ],
  );
});

test('a slice holds a hundred endpoints; a service without pods has an empty one', async () => {
  startKubelet();
  serve('web', { ipFamilyPolicy: 'SingleStack' });
  await settled();
  assert.deepEqual(
    slices('web').map(({ endpoints }) => endpoints),
    [[]],
  );
  deploy('web', 130);
  await settled();
  assert.deepEqual(
    slices('web')
      .map(({ endpoints }) => endpoints.length)
      .sort(),
    [100, 30],
  );
  assert.equal(new Set(addresses(slices('web'))).size, 130);
});

test('a pod whose labels change leaves the service; a service without a selector leaves slices alone', async () => {
  startKubelet();
  deploy('web', 1);
  serve('web', { ipFamilyPolicy: 'SingleStack' });
  cluster.create('endpointslices.discovery.k8s.io', {
    metadata: { ...target('mine'), labels: { 'kubernetes.io/service-name': 'web' } },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['192.0.2.1'] }],
  });
  await settled();
  assert.equal(addresses(slices('web')).length, 2);
  const [pod] = pods();
  cluster.modify('pods', target(pod?.metadata.name ?? ''), (draft) => {
    draft.metadata.labels = { app: 'other' };
  });
  cluster.modify('services', target('web'), (draft) => void delete draft.spec.selector);
  await settled();
  assert.deepEqual(addresses(slices('web')), ['192.0.2.1']);
});

test('the API server has a service and a slice', async () => {
  await settled();
  assert.equal(cluster.get('services', 'kubernetes', 'default')?.spec.clusterIP, '10.96.0.1');
  assert.deepEqual(addresses(slices('kubernetes')), ['10.10.30.10']);
});

test('what an owner leaves behind is deleted, except when orphaned', async () => {
  startKubelet();
  deploy('gone', 2);
  deploy('left', 2);
  serve('gone');
  await settled();
  cluster.delete('services', target('gone'));
  cluster.delete('deployments.apps', target('gone'));
  cluster.delete('deployments.apps', target('left'), { propagationPolicy: 'Orphan' });
  await settled();
  assert.deepEqual(slices('gone'), []);
  assert.deepEqual(
    cluster.list('deployments.apps').map(({ metadata }) => metadata.name),
    [],
  );
  assert.deepEqual(
    pods().map(({ metadata }) => metadata.labels?.app),
    ['left', 'left'],
  );
  assert.deepEqual(
    cluster.list('replicasets.apps').map(({ metadata }) => metadata.ownerReferences),
    [[]],
  );
});

test('with foreground deletion the owner goes last', async () => {
  startKubelet();
  deploy('web', 2);
  await settled();
  const order: string[] = [];
  running.push(
    cluster.watchAll(({ type, object }) => {
      if (type === 'DELETED' && object.kind !== 'Event') order.push(object.kind);
    }),
  );
  cluster.delete('deployments.apps', target('web'), { propagationPolicy: 'Foreground' });
  await settled();
  assert.deepEqual(order, ['Pod', 'Pod', 'ReplicaSet', 'Deployment']);
});

test('a namespace is emptied before it goes', async () => {
  startKubelet();
  cluster.create('namespaces', { metadata: { name: 'shop' } });
  const spec = { containers: [{ name: 'c', image: 'x' }] };
  cluster.create('pods', { metadata: { name: 'p', namespace: 'shop' }, spec });
  cluster.create('configmaps', { metadata: { name: 'c', namespace: 'shop', finalizers: ['example.com/hold'] } });
  await settled();
  cluster.delete('namespaces', { name: 'shop' });
  await settled();
  assert.equal(cluster.get('namespaces', 'shop')?.status.phase, 'Terminating');
  assert.deepEqual(cluster.list('pods', { namespace: 'shop' }), []);
  cluster.modify('configmaps', { name: 'c', namespace: 'shop' }, (draft) => {
    draft.metadata.finalizers = [];
  });
  await settled();
  assert.equal(cluster.get('namespaces', 'shop'), undefined);
});

test('pods of a node that is deleted go with it', async () => {
  startKubelet();
  deploy('web', 3);
  await settled();
  cluster.delete('nodes', { name: 'n1' });
  await settled();
  assert.deepEqual(new Set(pods().map((pod) => pod.spec.nodeName)), new Set(['n2', 'n3']));
});

test('a node whose lease is not renewed becomes unknown and its pods stop being ready; a renewal and its kubelet bring it back', async () => {
  for (const part of running) part[Symbol.dispose]();
  running = [
    startControllers(cluster, {
      apiServer: { address: '10.10.30.10', port: 6443 },
      // Long enough for the pod to be ready before, also where the machine is busy.
      nodeGraceMs: 1_500,
      log: (message) => failures.push(message),
    }),
  ];
  startKubelet(['n1']);
  deploy('web', 1);
  serve('web', { ipFamilyPolicy: 'SingleStack' });
  await seen(() => slices('web')[0]?.endpoints[0]?.conditions?.ready === true);
  await seen(
    () =>
      slices('web')[0]?.endpoints[0]?.conditions?.ready === false &&
      (cluster.get('nodes', 'n1')?.spec.taints?.length ?? 0) === 2,
  );
  assert.equal(cluster.get('nodes', 'n1')?.status.conditions?.[0]?.status, 'Unknown');
  const lease = { metadata: { name: 'n1', namespace: 'kube-node-lease' }, spec: { holderIdentity: 'n1' } };
  cluster.create('leases.coordination.k8s.io', lease);
  cluster.modify(
    'nodes',
    { name: 'n1' },
    (draft) => {
      draft.status.conditions = [{ type: 'Ready', status: 'True' }];
    },
    { subresource: 'status' },
  );
  await seen(() => cluster.get('nodes', 'n1')?.spec.taints === undefined);
});

/** Resolves with the write after which the condition holds. */
function seen(condition: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const watch = cluster.watchAll(() => {
      if (!condition()) return;
      watch[Symbol.dispose]();
      resolve();
    });
  });
}
