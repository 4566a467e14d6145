import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestKubectl, type TestKubectl } from './test-kubectl.ts';

/** The real kubectl of Kubernetes 1.35: server-side apply, dry runs and diffs, for kinds of Kubernetes' own and for others. */

let tool: TestKubectl;

before(async () => {
  tool = await startTestKubectl();
  await kubectl(['apply', '-f', '-'], definition);
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
});

after(() => tool[Symbol.asyncDispose]());

const kubectl = (args: readonly string[], stdin?: string) => tool.kubectl(args, stdin);
const refused = (args: readonly string[], stdin?: string) => tool.refused(args, stdin);
const serverSide = (stdin: string, ...more: string[]) => kubectl(['apply', '--server-side', '-f', '-', ...more], stdin);
const json = async (...args: string[]) => JSON.parse(await kubectl(['get', '-o', 'json', ...args]));

const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gardens.example.com}
spec:
  group: example.com
  scope: Namespaced
  names: {plural: gardens, kind: Garden}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}}
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            properties:
              size: {type: integer, default: 1}
              tags: {type: array, x-kubernetes-list-type: set, items: {type: string}}
              owner: {type: object, x-kubernetes-map-type: atomic, additionalProperties: {type: string}}
              beds:
                type: array
                x-kubernetes-list-type: map
                x-kubernetes-list-map-keys: [name]
                items:
                  type: object
                  required: [name]
                  properties: {name: {type: string}, plants: {type: integer}, soil: {type: string}}
          status: {type: object, x-kubernetes-preserve-unknown-fields: true}
`;

const web = (spec: string, labels = 'app: web, tier: front') => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: default, labels: {${labels}}}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: ${spec}
`;
const one = '[{name: web, image: "web:1", env: [{name: A, value: "1"}, {name: B, value: "2"}]}]';
const two =
  '[{name: web, image: "web:1", env: [{name: A, value: "1"}, {name: B, value: "2"}]}, {name: log, image: "log:1"}]';

test('what is applied on the server is created, updated, and loses what is left out', async () => {
  assert.match(await serverSide(web(two)), /^deployment.apps\/web serverside-applied\n$/);
  const first = await json('deployment/web');
  assert.match(await serverSide(web(two)), /serverside-applied/);
  const same = await json('deployment/web');
  assert.equal(same.metadata.generation, first.metadata.generation, 'the same again changes nothing');
  await kubectl(['label', 'deployment/web', 'extra=yes']);
  await serverSide(web(one.replace(', {name: B, value: "2"}', ''), 'app: web'));
  const after = await json('deployment/web');
  const { containers } = after.spec.template.spec;
  assert.deepEqual(after.metadata.labels, { app: 'web', extra: 'yes' });
  assert.deepEqual(
    containers.map(({ name, env }: { name: string; env: object }) => [name, env]),
    [['web', [{ name: 'A', value: '1' }]]],
  );
  await kubectl(['rollout', 'status', 'deployment/web', '--timeout=60s']);
});

test('managed fields tell who applied what, and are shown when asked for', async () => {
  await serverSide(web(one));
  const hidden = await json('deployment/web');
  assert.equal(hidden.metadata.managedFields, undefined);
  const shown = await json('deployment/web', '--show-managed-fields');
  const [entry, ...others] = shown.metadata.managedFields;
  assert.deepEqual(others, []);
  assert.deepEqual(
    [entry.manager, entry.operation, entry.apiVersion, entry.fieldsType],
    ['kubectl', 'Apply', 'apps/v1', 'FieldsV1'],
  );
  const containers = entry.fieldsV1['f:spec']['f:template']['f:spec']['f:containers'];
  assert.deepEqual(Object.keys(containers), ['k:{"name":"web"}']);
});

test('another manager adds, takes over without a conflict, and takes its own back', async () => {
  await serverSide(web(one));
  const patch = (spec: string) =>
    `{apiVersion: apps/v1, kind: Deployment, metadata: {name: web, namespace: default}, spec: ${spec}}`;
  await serverSide(patch('{replicas: 2, template: {metadata: {annotations: {a: b}}}}'), '--field-manager=scaler');
  await kubectl(['scale', 'deployment/web', '--replicas=3']);
  await serverSide(patch('{}'), '--field-manager=scaler');
  const { spec } = await json('deployment/web');
  assert.deepEqual([spec.replicas, spec.template.metadata.annotations], [3, undefined]);
  await serverSide(web(one.replace('web:1', 'web:2')), '--field-manager=other', '--force-conflicts');
  assert.match(JSON.stringify(await json('deployment/web')), /"image":"web:2"/);
});

test('custom resources are applied on the server by the keys of their lists', async () => {
  const garden = (spec: string, more = '') =>
    `{apiVersion: example.com/v1, kind: Garden, metadata: {name: g, namespace: default}, spec: ${spec}${more}}`;
  assert.match(
    await serverSide(garden('{beds: [{name: a, plants: 1}, {name: b, plants: 2}], tags: [p, q], owner: {who: me}}')),
    /^garden.example.com\/g serverside-applied\n$/,
  );
  await serverSide(garden('{beds: [{name: b, soil: sand}, {name: c}], tags: [r], size: 5}'), '--field-manager=other');
  const { spec: both } = await json('garden/g');
  assert.deepEqual(both, {
    size: 5,
    beds: [{ name: 'a', plants: 1 }, { name: 'b', plants: 2, soil: 'sand' }, { name: 'c' }],
    tags: ['p', 'q', 'r'],
    owner: { who: 'me' },
  });
  await serverSide(garden('{beds: [{name: a, plants: 9}], tags: [q], owner: {by: us}}'));
  const { spec: later } = await json('garden/g');
  assert.deepEqual(later, {
    size: 5,
    beds: [{ name: 'a', plants: 9 }, { name: 'b', soil: 'sand' }, { name: 'c' }],
    tags: ['q', 'r'],
    owner: { by: 'us' },
  });
  await serverSide(garden('{}', ', status: {ready: true}'), '--subresource=status');
  assert.deepEqual((await json('garden/g')).status, { ready: true });
  assert.match(await refused(['apply', '--server-side', '-f', '-'], garden('{bedz: []}')), /unknown field "spec.bedz"/);
});

test('dry runs on the server answer like the real thing and leave nothing', async () => {
  const map = (data: string) =>
    `{apiVersion: v1, kind: ConfigMap, metadata: {name: dry, namespace: default}, data: ${data}}`;
  for (const way of [[], ['--server-side']]) {
    const apply = ['apply', ...way, '-f', '-'];
    assert.match(await kubectl([...apply, '--dry-run=server'], map('{a: b}')), /\(server dry run\)/);
    assert.match(await refused(['get', 'configmap', 'dry']), /not found/);
    assert.match(await refused([...apply, '--dry-run=server'], map('{a: [1]}')), /cannot unmarshal array/);
  }
  await serverSide(map('{a: b}'));
  const shown = await serverSide(map('{a: c}'), '--dry-run=server', '-o', 'jsonpath={.data.a}');
  assert.equal(shown, 'c');
  assert.equal((await json('configmap/dry')).data.a, 'b');
  await kubectl(['delete', 'configmap', 'dry', '--dry-run=server']);
  await kubectl(['delete', 'configmap', 'dry']);
});

test('diff shows what an apply would change, from the client and on the server', async () => {
  const service = (port: number) =>
    `{apiVersion: v1, kind: Service, metadata: {name: d, namespace: default}, spec: {selector: {a: b}, ports: [{name: http, port: ${port}}]}}`;
  await kubectl(['apply', '-f', '-'], service(80));
  await serverSide(service(80));
  for (const way of [[], ['--server-side']]) {
    const diff = (stdin: string) => tool.start(['diff', ...way, '-f', '-'], { stdin }).outcome;
    assert.deepEqual((await diff(service(80))).stdout, '');
    const { code, stdout } = await diff(service(81));
    assert.equal(code, 1, 'diff tells by its status that there is a difference');
    assert.match(stdout, /^- {4}port: 80\n\+ {4}port: 81$/m);
    assert.doesNotMatch(stdout, /managedFields/);
  }
  assert.equal((await json('service/d')).spec.ports[0].port, 80);
});

test('apply from the client, on the server and from the client again: each loses what is left out', async () => {
  const map = (data: string) =>
    `{apiVersion: v1, kind: ConfigMap, metadata: {name: mixed, namespace: default}, data: ${data}}`;
  await kubectl(['apply', '-f', '-'], map('{a: "1", b: "1"}'));
  await serverSide(map('{a: "1", c: "1"}'));
  await serverSide(map('{a: "1", d: "1"}'));
  const { data } = await json('configmap/mixed');
  assert.equal(data.c, undefined);
  await kubectl(['apply', '-f', '-'], map('{a: "1"}'));
  assert.equal((await json('configmap/mixed')).data.d, undefined);
});

test('a namespace and its objects go up in one server-side apply, and stay as they are in the next', async () => {
  const all = `
apiVersion: v1
kind: Namespace
metadata: {name: many}
---
apiVersion: v1
kind: Service
metadata: {name: s, namespace: many}
spec: {type: NodePort, selector: {a: b}, ports: [{name: http, port: 80}]}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d, namespace: many}
spec:
  selector: {matchLabels: {a: b}}
  template: {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i}]}}
`;
  const applied =
    /namespace\/many serverside-applied\nservice\/s serverside-applied\ndaemonset.apps\/d serverside-applied/;
  assert.match(await serverSide(all), applied);
  const before = await json('service/s', '-n', 'many');
  assert.match(await serverSide(all), applied);
  const { spec, metadata } = await json('service/s', '-n', 'many');
  assert.deepEqual(spec, before.spec, 'addresses and node ports stay');
  assert.equal(metadata.resourceVersion, before.metadata.resourceVersion);
});
