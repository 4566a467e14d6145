import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { parsePrefix } from '@sluice/net';
import { Cluster } from '../apiserver/cluster.ts';
import type { DaemonSet, Node, Pod } from '../apiserver/index.ts';
import { createStandardObjects } from '../apiserver/server.ts';
import { type DaemonNode, planDaemons } from './daemon-set-plan.ts';
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
    startFakeKubelet(cluster, ['n1', 'n2', 'n3']),
  ];
});

afterEach(() => {
  for (const part of running) part[Symbol.dispose]();
  assert.deepEqual(failures, []);
});

async function settled(): Promise<void> {
  for (let quiet = 0, version = ''; quiet < 5; quiet++) {
    await new Promise((resolve) => setImmediate(resolve));
    if (cluster.resourceVersion !== version) quiet = 0;
    version = cluster.resourceVersion;
  }
}

const target = { name: 'd', namespace: 'default' };
const pods = () => cluster.list('pods', { namespace: 'default' });
const places = () =>
  pods()
    .map(({ spec }) => spec.nodeName)
    .sort()
    .join(' ');
const set = () => {
  const found = cluster.get('daemonsets.apps', 'd', 'default');
  assert.ok(found);
  return found;
};
const images = () =>
  pods()
    .map(({ spec }) => spec.containers[0]?.image)
    .sort()
    .join(' ');
const revisions = () =>
  cluster
    .list('controllerrevisions.apps')
    .map(({ revision, data }) => `${revision}: ${data.spec.template.spec.containers[0]?.image}`)
    .sort();

function create(pod: object = {}, spec: object = {}): void {
  const template = { metadata: { labels: { app: 'd' } }, spec: { containers: [{ name: 'c', image: 'd:1' }], ...pod } };
  cluster.create('daemonsets.apps', {
    metadata: target,
    spec: { selector: { matchLabels: { app: 'd' } }, template, ...spec },
  });
}

function setImage(image: string): void {
  cluster.modify('daemonsets.apps', target, ({ spec }) => {
    for (const container of spec.template.spec.containers) container.image = image;
  });
}

function onNode(name: string, change: (draft: Node) => void): void {
  cluster.modify('nodes', { name }, change);
}

test('a set has one pod on each node, also on new ones', async () => {
  create();
  await settled();
  startFakeKubelet(cluster, ['n4'])[Symbol.dispose]();
  await settled();
  assert.equal(places(), 'n1 n2 n3 n4');
  assert.deepEqual([set().status.desiredNumberScheduled, set().status.numberReady], [4, 4]);
});

test('a pod that is deleted comes again, on the same node', async () => {
  create();
  await settled();
  const [pod] = pods();
  assert.ok(pod);
  cluster.delete('pods', pod.metadata);
  await settled();
  assert.equal(places(), 'n1 n2 n3');
  assert.ok(!pods().some(({ metadata }) => metadata.uid === pod.metadata.uid));
});

test('only nodes that the selector names get a pod, and lose it with their label', async () => {
  create({ nodeSelector: { disk: 'fast' } });
  await settled();
  assert.equal(places(), '');
  onNode('n2', ({ metadata }) => Object.assign(metadata.labels ?? {}, { disk: 'fast' }));
  await settled();
  assert.equal(places(), 'n2');
  onNode('n2', ({ metadata }) => Object.assign(metadata.labels ?? {}, { disk: 'slow' }));
  await settled();
  assert.equal(places(), '');
});

test('a taint keeps new pods away and lets those stay that are there, unless it is NoExecute', async () => {
  onNode('n1', ({ spec }) => Object.assign(spec, { taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] }));
  create();
  await settled();
  assert.equal(places(), 'n2 n3');
  onNode('n2', ({ spec }) => Object.assign(spec, { taints: [{ key: 'a', value: 'b', effect: 'NoSchedule' }] }));
  await settled();
  assert.equal(places(), 'n2 n3');
  assert.deepEqual(
    [set().status.desiredNumberScheduled, set().status.numberMisscheduled],
    [1, 1],
    'it stays, but would not be placed there',
  );
  onNode('n2', ({ spec }) => Object.assign(spec, { taints: [{ key: 'a', value: 'b', effect: 'NoExecute' }] }));
  await settled();
  assert.equal(places(), 'n3');
});

test('a set that tolerates everything is everywhere; each is on cordoned nodes and bears what daemons tolerate', async () => {
  onNode('n1', ({ spec }) => Object.assign(spec, { taints: [{ key: 'a', effect: 'NoExecute' }] }));
  onNode('n2', ({ spec }) => {
    spec.unschedulable = true;
    Object.assign(spec, { taints: [{ key: 'node.kubernetes.io/unschedulable', effect: 'NoSchedule' }] });
  });
  create({ tolerations: [{ operator: 'Exists' }], hostNetwork: true });
  await settled();
  assert.equal(places(), 'n1 n2 n3');
  const tolerated = (pods()[0]?.spec.tolerations ?? []).map(({ key = '*', effect = '*' }) => `${key} ${effect}`);
  assert.deepEqual(tolerated, [
    '* *',
    'node.kubernetes.io/not-ready NoExecute',
    'node.kubernetes.io/unreachable NoExecute',
    'node.kubernetes.io/disk-pressure NoSchedule',
    'node.kubernetes.io/memory-pressure NoSchedule',
    'node.kubernetes.io/pid-pressure NoSchedule',
    'node.kubernetes.io/unschedulable NoSchedule',
    'node.kubernetes.io/network-unavailable NoSchedule',
  ]);
});

test('a rolling update replaces every pod, and never has two missing', async () => {
  create();
  await settled();
  const counts: number[] = [];
  const watch = cluster.watch('pods', () => {
    counts.push(pods().filter(({ metadata }) => !metadata.deletionTimestamp).length);
  });
  counts.length = 0;
  setImage('d:2');
  await settled();
  watch[Symbol.dispose]();
  assert.equal(images(), 'd:2 d:2 d:2');
  assert.deepEqual([...new Set(counts)].sort(), [2, 3]);
  assert.deepEqual(
    [set().status.updatedNumberScheduled, set().status.numberAvailable, set().status.observedGeneration],
    [3, 3, 2],
  );
});

test('with OnDelete a pod is of the new template only after somebody has deleted the old one', async () => {
  create({}, { updateStrategy: { type: 'OnDelete' } });
  await settled();
  setImage('d:2');
  await settled();
  assert.equal(images(), 'd:1 d:1 d:1');
  assert.equal(set().status.updatedNumberScheduled, 0);
  const [pod] = pods();
  assert.ok(pod);
  cluster.delete('pods', pod.metadata);
  await settled();
  assert.equal(images(), 'd:1 d:1 d:2');
});

test('each template is a revision; one that comes back gets the highest number; old ones are forgotten', async () => {
  create({}, { revisionHistoryLimit: 1 });
  await settled();
  setImage('d:2');
  await settled();
  assert.deepEqual(revisions(), ['1: d:1', '2: d:2']);
  setImage('d:1');
  await settled();
  assert.deepEqual(revisions(), ['2: d:2', '3: d:1']);
  setImage('d:3');
  await settled();
  assert.deepEqual(revisions(), ['3: d:1', '4: d:3']);
  cluster.delete('daemonsets.apps', target);
  await settled();
  assert.deepEqual([revisions(), places()], [[], '']);
});

test('a pod that is over is replaced', async (t) => {
  create();
  await settled();
  const [pod] = pods();
  assert.ok(pod);
  t.mock.timers.enable({ apis: ['Date'], now: Date.now() + 6_000 });
  cluster.modify(
    'pods',
    pod.metadata,
    ({ status }) => {
      status.phase = 'Failed';
    },
    { subresource: 'status' },
  );
  await settled();
  assert.equal(places(), 'n1 n2 n3');
  assert.ok(pods().every(({ status }) => status.phase === 'Running'));
});

/** A pod for the plan: `+` updated, `-` old; upper case: available; `x`: on its way out. */
function podOf(text: string, node: string): Pod {
  const metadata = { name: `${node}${text}`, ...(text.includes('x') && { deletionTimestamp: 'now' }) };
  return { metadata, text } as unknown as Pod;
}

function plan(nodes: Record<string, string>, rollingUpdate: object, more: Partial<DaemonNode> = {}) {
  const daemons = { spec: { updateStrategy: { type: 'RollingUpdate', rollingUpdate } } } as DaemonSet;
  const textOf = (pod: Pod) => (pod as unknown as { text: string }).text;
  const { create: created, remove } = planDaemons(daemons, {
    nodes: Object.entries(nodes).map(([name, texts]) => ({
      name,
      pods: texts
        .split(' ')
        .filter((text) => text !== '')
        .map((text) => podOf(text, name)),
      shouldRun: true,
      mayStay: true,
      ...more,
    })),
    isUpdated: (pod) => textOf(pod).startsWith('+'),
    isAvailable: (pod) => textOf(pod).endsWith('A'),
  });
  return { create: created.join(' '), remove: remove.map(({ metadata }) => metadata.name).join(' ') };
}

test('an update takes as many serving pods away as may be missing, and all that do not serve anyway', () => {
  const one = { maxUnavailable: 1, maxSurge: 0 };
  assert.deepEqual(plan({ a: '-A', b: '-A', c: '-A' }, one), { create: '', remove: 'a-A' });
  assert.deepEqual(plan({ a: '-Ax', b: '-A', c: '-A' }, one), { create: '', remove: '' });
  assert.deepEqual(plan({ a: '+', b: '-A', c: '-A' }, one), { create: '', remove: '' });
  assert.deepEqual(plan({ a: '+A', b: '-A', c: '-A' }, one), { create: '', remove: 'b-A' });
  assert.deepEqual(plan({ a: '-', b: '-', c: '-A' }, one), { create: '', remove: 'a- b- c-A' });
  assert.deepEqual(plan({ a: '-A', b: '-A', c: '-A' }, { maxUnavailable: '50%', maxSurge: 0 }).remove, 'a-A b-A');
  assert.deepEqual(plan({ a: '', b: '-A' }, one), { create: 'a', remove: '' });
});

test('with a surge a new pod comes beside the old one, which goes when the new one serves', () => {
  const surge = { maxUnavailable: 0, maxSurge: 1 };
  assert.deepEqual(plan({ a: '-A', b: '-A' }, surge), { create: 'a', remove: '' });
  assert.deepEqual(plan({ a: '-A +', b: '-A' }, surge), { create: '', remove: '' });
  assert.deepEqual(plan({ a: '-A +A', b: '-A' }, surge), { create: 'b', remove: 'a-A' });
  assert.deepEqual(plan({ a: '-Ax +A', b: '-A' }, surge), { create: 'b', remove: '' });
  assert.deepEqual(plan({ a: '-', b: '-' }, surge), { create: 'a b', remove: '' });
  assert.deepEqual(plan({ a: '- +' }, surge), { create: '', remove: 'a-' });
});

test('of too many pods on a node the oldest stays; where none may be all go', () => {
  const one = { maxUnavailable: 1, maxSurge: 0 };
  assert.deepEqual(plan({ a: '+A +' }, one), { create: '', remove: 'a+' });
  assert.deepEqual(plan({ a: '+A' }, one, { shouldRun: false, mayStay: false }), { create: '', remove: 'a+A' });
  assert.deepEqual(plan({ a: '' }, one, { shouldRun: false }), { create: '', remove: '' });
});
