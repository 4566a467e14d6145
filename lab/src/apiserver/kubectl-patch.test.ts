import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestKubectl, type TestKubectl } from './test-kubectl.ts';

/** The real kubectl of Kubernetes 1.35: patches in all three kinds, by hand and as `apply`, `edit` and `set` make them. */

let tool: TestKubectl;

before(async () => {
  tool = await startTestKubectl();
  await kubectl(['apply', '-f', '-'], web);
});

after(() => tool[Symbol.asyncDispose]());

const kubectl = (args: readonly string[], stdin?: string) => tool.kubectl(args, stdin);
const refused = (args: readonly string[], stdin?: string) => tool.refused(args, stdin);
const json = async (...args: string[]) => JSON.parse(await kubectl(['get', '-o', 'json', ...args]));
const patch = (type: string, what: string, body: unknown, ...more: string[]) =>
  kubectl(['patch', ...what.split(' '), `--type=${type}`, '-p', JSON.stringify(body), ...more]);

const container = (name: string, more: object = {}) => ({ name, image: `${name}:1`, ...more });
const web = JSON.stringify({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default', labels: { app: 'web', tier: 'front' } },
  spec: {
    selector: { matchLabels: { app: 'web' } },
    template: {
      metadata: { labels: { app: 'web' } },
      spec: {
        containers: [
          container('web', {
            ports: [{ containerPort: 80 }, { containerPort: 443 }],
            env: [
              { name: 'A', value: '1' },
              { name: 'B', value: '2' },
            ],
          }),
          container('log'),
        ],
      },
    },
  },
});
const template = async () => (await json('deployment/web')).spec.template.spec;
const inTemplate = (spec: object) => ({ spec: { template: { spec } } });

test('strategic: elements are found by their keys, changed, added, deleted and replaced', async () => {
  const containers = [
    {
      name: 'web',
      image: 'web:2',
      env: [
        { name: 'A', $patch: 'delete' },
        { name: 'C', value: '3' },
      ],
    },
    { name: 'log', $patch: 'delete' },
    container('side'),
  ];
  assert.match(await patch('strategic', 'deployment web', inTemplate({ containers })), /deployment.apps\/web patched/);
  const changed = await template();
  assert.deepEqual(
    changed.containers.map(({ name, image }: { name: string; image: string }) => [name, image]),
    [
      ['web', 'web:2'],
      ['side', 'side:1'],
    ],
  );
  const [first] = changed.containers;
  assert.deepEqual(first.env, [
    { name: 'B', value: '2' },
    { name: 'C', value: '3' },
  ]);
  assert.deepEqual(
    first.ports.map(({ containerPort }: { containerPort: number }) => containerPort),
    [80, 443],
  );
  await patch('strategic', 'deployment web', inTemplate({ containers: [{ $patch: 'replace' }, container('only')] }));
  assert.deepEqual(
    (await template()).containers.map(({ name }: { name: string }) => name),
    ['only'],
  );
  assert.match(await patch('strategic', 'deployment web', {}), /patched \(no change\)/);
});

test('strategic: the strategy keeps only what the patch names, lists get an order, finalizers go one by one', async () => {
  await patch('strategic', 'deployment web', { spec: { strategy: { $retainKeys: ['type'], type: 'Recreate' } } });
  assert.deepEqual((await json('deployment/web')).spec.strategy, { type: 'Recreate' });
  await patch('strategic', 'deployment web', inTemplate({ containers: [container('a'), container('b')] }));
  await patch(
    'strategic',
    'deployment web',
    inTemplate({ '$setElementOrder/containers': [{ name: 'b' }, { name: 'a' }], containers: [] }),
  );
  const names = (await template()).containers.map(({ name }: { name: string }) => name);
  assert.ok(names.indexOf('b') < names.indexOf('a'), names.join());
  await kubectl(['create', 'configmap', 'held']);
  await patch('strategic', 'configmap held', { metadata: { finalizers: ['a/b', 'c/d'] } });
  await patch('strategic', 'configmap held', { metadata: { '$deleteFromPrimitiveList/finalizers': ['a/b'] } });
  assert.deepEqual((await json('configmap/held')).metadata.finalizers, ['c/d']);
  await patch('merge', 'configmap held', { metadata: { finalizers: null } });
});

test('strategic: a patch that is none is refused with the reason', async () => {
  const refusal = (body: object) => refused(['patch', 'deployment', 'web', '-p', JSON.stringify(body)]);
  assert.match(
    await refusal(inTemplate({ containers: [{ image: 'x' }] })),
    /does not contain declared merge key: name/,
  );
  assert.match(await refusal({ spec: { $patch: 'explode' } }), /explode/);
  assert.match(await refusal({ spec: { replicas: -1 } }), /spec.replicas: Invalid value: -1/);
  assert.match(await refusal({ metadata: { name: 'other' } }), /metadata.name/);
});

test('merge: maps are merged, null deletes, lists are replaced', async () => {
  await kubectl(['create', 'configmap', 'm', '--from-literal=a=1', '--from-literal=b=2']);
  await patch('merge', 'configmap m', { data: { a: null, c: '3' }, metadata: { labels: { x: 'y' } } });
  const { data, metadata } = await json('configmap/m');
  assert.deepEqual([data, metadata.labels], [{ b: '2', c: '3' }, { x: 'y' }]);
  await patch('merge', 'deployment web', inTemplate({ containers: [container('fresh')] }));
  assert.deepEqual(
    (await template()).containers.map(({ name }: { name: string }) => name),
    ['fresh'],
  );
});

test('JSON: operations in order, all or nothing, with a test', async () => {
  await kubectl(['create', 'configmap', 'j', '--from-literal=a=1', '--from-literal=b=2']);
  await patch('json', 'configmap j', [
    { op: 'test', path: '/data/a', value: '1' },
    { op: 'replace', path: '/data/a', value: '9' },
    { op: 'move', from: '/data/b', path: '/data/c' },
    { op: 'add', path: '/metadata/labels', value: { 'e.f/g': 'x' } },
    { op: 'replace', path: '/metadata/labels/e.f~1g', value: 'y' },
  ]);
  const { data, metadata } = await json('configmap/j');
  assert.deepEqual([data, metadata.labels], [{ a: '9', c: '2' }, { 'e.f/g': 'y' }]);
  const failing = [
    { op: 'replace', path: '/data/a', value: '10' },
    { op: 'test', path: '/data/c', value: 'other' },
  ];
  const refusal = await refused(['patch', 'configmap', 'j', '--type=json', '-p', JSON.stringify(failing)]);
  assert.match(refusal, /testing value \/data\/c failed|test failed/);
  assert.equal((await json('configmap/j')).data.a, '9', 'nothing of it was done');
});

test('patches of subresources and dry runs touch what they name', async () => {
  await patch('merge', 'deployment web', { spec: { replicas: 4 } }, '--subresource=scale');
  assert.equal((await json('deployment/web')).spec.replicas, 4);
  const condition = { type: 'Tested', status: 'True' };
  const body = { spec: { unschedulable: true }, status: { conditions: [condition] } };
  await patch('strategic', 'node n1', body, '--subresource=status');
  const node = await json('node/n1');
  assert.equal(node.spec.unschedulable, undefined);
  const types = node.status.conditions.map(({ type }: { type: string }) => type);
  assert.deepEqual(types.sort(), ['Ready', 'Tested'], 'conditions are found by their type');
  for (const type of ['strategic', 'merge'])
    assert.match(
      await patch(
        type,
        'deployment web',
        { spec: { replicas: 9 } },
        '--dry-run=server',
        '-o',
        'jsonpath={.spec.replicas}',
      ),
      /^9$/,
    );
  assert.equal((await json('deployment/web')).spec.replicas, 4);
});

test('custom resources take merge and JSON patches, and refuse strategic ones', async () => {
  const definition = {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: 'things.example.com' },
    spec: {
      group: 'example.com',
      scope: 'Namespaced',
      names: { plural: 'things', kind: 'Thing' },
      versions: [{ name: 'v1', served: true, storage: true, schema: { openAPIV3Schema: loose } }],
    },
  };
  await kubectl(['apply', '-f', '-'], JSON.stringify(definition));
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  const thing = { apiVersion: 'example.com/v1', kind: 'Thing', metadata: { name: 't' }, spec: { list: [1, 2], a: 1 } };
  await kubectl(['apply', '-f', '-'], JSON.stringify(thing));
  await patch('merge', 'thing t', { spec: { list: [3], a: null } });
  await patch('json', 'thing t', [{ op: 'add', path: '/spec/list/-', value: 4 }]);
  assert.deepEqual((await json('thing/t')).spec, { list: [3, 4] });
  assert.match(
    await refused(['patch', 'thing', 't', '--type=strategic', '-p', '{"spec":{}}']),
    /strategic-merge-patch\+json is not supported|media types include/,
  );
  assert.match(await kubectl(['label', 'thing', 't', 'a=b']), /labeled/);
  await kubectl(['apply', '-f', '-'], JSON.stringify({ ...thing, spec: { list: [5] } }));
  assert.deepEqual((await json('thing/t')).spec, { list: [5] });
});

const loose = {
  type: 'object',
  properties: { spec: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true } },
};

test('what apply, edit, set, replace and taint send is understood', async () => {
  await kubectl(['replace', '--force', '-f', '-'], web);
  await kubectl(['apply', '-f', '-'], web);
  const without = JSON.parse(web);
  without.spec.template.spec.containers.pop();
  without.spec.template.spec.containers[0].env.shift();
  delete without.metadata.labels.tier;
  assert.match(await kubectl(['apply', '-f', '-'], JSON.stringify(without)), /configured/);
  const { metadata, spec } = await json('deployment/web');
  assert.deepEqual([Object.keys(metadata.labels), spec.template.spec.containers.length], [['app'], 1]);
  assert.deepEqual(spec.template.spec.containers[0].env, [{ name: 'B', value: '2' }]);
  await kubectl(['set', 'env', 'deployment/web', 'D=4', 'B-']);
  await kubectl(['set', 'resources', 'deployment/web', '--requests=cpu=10m']);
  await kubectl(['set', 'selector', 'service/kubernetes', 'x=y', '--dry-run=server']);
  const [edited] = (await template()).containers;
  assert.deepEqual([edited.env, edited.resources.requests], [[{ name: 'D', value: '4' }], { cpu: '10m' }]);
  const { outcome } = tool.start(['edit', 'deployment/web'], { env: { KUBE_EDITOR: 'sed -i s/web:1/web:3/' } });
  assert.match((await outcome).stdout, /deployment.apps\/web edited/);
  assert.equal((await template()).containers[0].image, 'web:3');
  await kubectl(['taint', 'node', 'n1', 'a=b:NoSchedule']);
  await kubectl(['taint', 'node', 'n1', 'a:NoSchedule-']);
  assert.equal((await json('node/n1')).spec.taints, undefined);
  await kubectl(['cordon', 'n1']);
  await kubectl(['uncordon', 'n1']);
});
