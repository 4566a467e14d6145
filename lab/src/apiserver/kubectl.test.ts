import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { kubectlPath } from '../kubectl.ts';
import { repositoryRoot as root, startTestKubectl, type TestKubectl } from './test-kubectl.ts';
import type { TestServer } from './test-server.ts';

/** The real kubectl of Kubernetes 1.35: questions, ordinary changes and refusals. */

let tool: TestKubectl;
let api: TestServer;

before(async () => {
  tool = await startTestKubectl({
    hooks: {
      async *podLogs(pod, { tailLines = 3 }) {
        for (let line = 4 - tailLines; line <= 3; line++) yield `${pod.metadata.name} line ${line}\n`;
      },
      async podExec(_pod, { command, stdin, stdout, stderr }) {
        stderr.write('from stderr\n');
        stdout.write(`ran ${command.join(' ')}\n`);
        if (stdin) for await (const chunk of stdin) stdout.write(chunk);
        return { exitCode: command[0] === 'fail' ? 3 : 0 };
      },
    },
  });
  api = tool.api;
  await kubectl(['apply', '-f', join(root, 'packages/operator/crds')]);
});

after(() => tool[Symbol.asyncDispose]());

const kubectl = (args: readonly string[], stdin?: string) => tool.kubectl(args, stdin);
const refused = (args: readonly string[], stdin?: string) => tool.refused(args, stdin);

/** kubectl asks for a terminal only where it has one; gives what is printed there. */
function onTerminal(args: readonly string[]): Promise<string> {
  const command = [kubectlPath(root), '--kubeconfig', api.server.kubeconfig, ...args].join(' ');
  return new Promise((resolve) => {
    execFile('script', ['--quiet', '--command', command, '/dev/null'], (_error, stdout) =>
      resolve(stdout),
    ).stdin?.end();
  });
}

const shop = `
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, namespace: shop}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      containers: [{name: web, image: "echo:1", ports: [{name: http, containerPort: 8080}]}]
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  ipFamilyPolicy: PreferDualStack
  selector: {app: web}
  ports: [{name: http, port: 80, targetPort: http}]
`;

test('apply, apply again and apply a change: created, unchanged, configured', async () => {
  assert.match(await kubectl(['apply', '-f', '-'], shop), /deployment.apps\/web created\nservice\/web created/);
  assert.match(
    await kubectl(['apply', '-f', '-'], shop),
    /namespace\/shop unchanged\ndeployment.apps\/web unchanged\nservice\/web unchanged/,
  );
  const changed = shop.replace('port: 80,', 'port: 81,').replace('replicas: 3', 'replicas: 2');
  assert.match(await kubectl(['diff', '-f', '-'], shop), /^$/);
  assert.match(
    await kubectl(['apply', '-f', '-'], changed),
    /deployment.apps\/web configured\nservice\/web configured/,
  );
  assert.match(await kubectl(['apply', '-f', '-'], shop), /service\/web configured/);
  assert.match(await kubectl(['apply', '--server-side', '-f', '-'], shop), /service\/web serverside-applied/);
  assert.match(
    await kubectl(['rollout', 'status', 'deployment/web', '-n', 'shop', '--timeout=60s']),
    /successfully rolled out/,
  );
});

test('get prints tables, wide ones, and lists selected by label and field', async () => {
  const pods = await kubectl(['get', 'pods', '-n', 'shop', '-o', 'wide', '-l', 'app in (web)']);
  assert.match(pods, /^NAME +READY +STATUS +RESTARTS +AGE +IP +NODE +NOMINATED NODE +READINESS GATES\n/);
  assert.equal(pods.match(/ 1\/1 +Running +0 +\d+s +10\.244\.0\.\d+ +n[123] /g)?.length, 3);
  assert.equal(
    (await kubectl(['get', 'pods', '-A', '--field-selector', 'spec.nodeName=n1', '-o', 'name'])).trim().split('\n')
      .length,
    1,
  );
  assert.match(
    await kubectl(['get', 'service', 'web', '-n', 'shop']),
    /web +NodePort +10\.96\.\d+\.\d+ +<none> +80:3\d{4}\/TCP/,
  );
  assert.match(await kubectl(['get', 'nodes', '-o', 'wide']), /n1 +Ready +<none> +\d+s +10\.10\.30\.101/);
  assert.match(await kubectl(['get', 'endpointslices', '-n', 'shop']), /IPv6 +8080 +fd00:10:244::/);
  assert.match(await kubectl(['get', 'all', '-A']), /deployment.apps\/web +3\/3 +3 +3/);
  assert.equal(
    await kubectl(['get', 'svc', 'web', '-n', 'shop', '-o', 'jsonpath={.spec.ipFamilies}']),
    '["IPv4","IPv6"]',
  );
  assert.match(await refused(['get', 'pods', '--field-selector', 'no.such=x']), /field label not supported: no.such/);
});

test('describe shows pods, services, nodes, deployments and slices with their events', async () => {
  assert.match(
    await kubectl(['describe', 'pods', '-n', 'shop', '-l', 'app=web']),
    /Controlled By: +ReplicaSet\/web-[\s\S]*Successfully assigned shop\/web-/,
  );
  assert.match(
    await kubectl(['describe', 'service', 'web', '-n', 'shop']),
    /IP Families: +IPv4,IPv6[\s\S]*Endpoints: +\S+:8080,/,
  );
  assert.match(await kubectl(['describe', 'node', 'n1']), /Non-terminated Pods: +\(\d+ in total\)/);
  assert.match(await kubectl(['describe', 'deployment', 'web', '-n', 'shop']), /Scaled up replica set web-/);
  assert.match(await kubectl(['describe', 'endpointslices', '-n', 'shop']), /TargetRef: +Pod\/web-/);
  assert.match(
    await kubectl(['events', '-n', 'shop', '--for', 'deployment/web', '--types=Normal']),
    /Normal +ScalingReplicaSet +Deployment\/web +Scaled up replica set web-/,
  );
});

test('create, run, expose, scale, label, annotate and patch in every way', async () => {
  await kubectl(['create', 'namespace', 'play']);
  const here = ['-n', 'play'];
  await kubectl(['create', 'deployment', 'd', '--image=x', '--replicas=2', ...here]);
  await kubectl(['create', 'configmap', 'c', '--from-literal=a=b', ...here]);
  await kubectl(['expose', 'deployment', 'd', '--port=80', ...here]);
  await kubectl(['scale', 'deployment', 'd', '--replicas=3', ...here]);
  await kubectl(['wait', '--for=condition=Available', 'deployment/d', '--timeout=60s', ...here]);
  assert.match(await kubectl(['get', 'deployment', 'd', ...here]), /d +3\/3/);
  await kubectl(['label', 'service', 'd', 'a=b', ...here]);
  await kubectl(['annotate', 'service', 'd', 'c=d', ...here]);
  await kubectl(['patch', 'service', 'd', '-p', '{"spec":{"ports":[{"port":80,"targetPort":9090}]}}', ...here]);
  await kubectl([
    'patch',
    'service',
    'd',
    '--type=json',
    '-p',
    '[{"op":"replace","path":"/spec/type","value":"NodePort"}]',
    ...here,
  ]);
  await kubectl(['patch', 'service', 'd', '--type=merge', '-p', '{"spec":{"sessionAffinity":"ClientIP"}}', ...here]);
  const { spec, metadata } = api.server.store.get('services', 'd', 'play') ?? {};
  assert.deepEqual(
    [spec?.type, spec?.ports?.[0]?.targetPort, spec?.sessionAffinity, metadata?.labels?.a, metadata?.annotations?.c],
    ['NodePort', 9090, 'ClientIP', 'b', 'd'],
  );
  await kubectl(['set', 'image', 'deployment/d', 'x=y', ...here]);
  await kubectl(['rollout', 'undo', 'deployment/d', ...here]);
  assert.match(await kubectl(['rollout', 'history', 'deployment/d', ...here]), /2 +<none>\n3 +<none>/);
  await kubectl(['delete', 'namespace', 'play', '--timeout=60s']);
  assert.equal(api.server.store.get('namespaces', 'play'), undefined);
});

test('logs and exec reach the kubelet, with input, output and the exit code', async () => {
  await kubectl(['run', 'r', '--image=x']);
  await kubectl(['wait', '--for=condition=Ready', 'pod/r', '--timeout=60s']);
  assert.equal(await kubectl(['logs', 'r', '--tail=1', '-f']), 'r line 3\n');
  assert.equal(await kubectl(['exec', 'r', '--', 'echo', 'hi']), 'ran echo hi\n');
  assert.equal(await kubectl(['exec', '-i', 'r', '--', 'cat'], 'typed'), 'ran cat\ntyped');
  assert.match(await onTerminal(['exec', '-it', 'r', '--', 'sh']), /pods have no terminal: use -i without -t/);
  const failed = await tool.start(['exec', 'r', '--', 'fail']).outcome;
  assert.deepEqual([failed.code, failed.stderr.includes('from stderr')], [3, true]);
  assert.match(await refused(['exec', 'nobody', '--', 'true']), /pods "nobody" not found/);
  await kubectl(['delete', 'pod', 'r', '--timeout=60s']);
  await kubectl(['wait', '--for=delete', 'pod/r', '--timeout=60s']);
});

test('a watch prints what changes', async () => {
  const watcher = spawn(
    kubectlPath(root),
    [...tool.command, 'get', 'configmaps', '-w', '--no-headers', '-l', 'watched=yes'],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  );
  try {
    const lines = createInterface({ input: watcher.stdout })[Symbol.asyncIterator]();
    api.server.store.create('configmaps', {
      metadata: { name: 'w', namespace: 'default', labels: { watched: 'yes' } },
    });
    assert.match(String((await lines.next()).value), /^w +0 /);
    api.server.store.modify('configmaps', { name: 'w', namespace: 'default' }, (draft) =>
      Object.assign(draft, { data: { a: 'b' } }),
    );
    assert.match(String((await lines.next()).value), /^w +1 /);
  } finally {
    watcher.kill();
  }
});

test("the homelab's pool and policy are applied, printed with their columns, and validated", async () => {
  await kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  const files = ['lb-pool', 'l2-policy'].flatMap((name) => ['-f', join(root, 'examples/homelab', `${name}.yaml`)]);
  assert.match(await kubectl(['apply', ...files]), /homelab-pool created/);
  assert.match(await kubectl(['apply', ...files]), /homelab-pool unchanged/);
  assert.match(
    await kubectl(['get', 'ippools']),
    /NAME +DISABLED +CONFLICTING +IPS AVAILABLE +AGE\nhomelab-pool +false/,
  );
  const bad = (spec: string) =>
    `{apiVersion: cilium.io/v2, kind: CiliumLoadBalancerIPPool, metadata: {name: bad}, spec: ${spec}}`;
  assert.match(
    await refused(['apply', '-f', '-'], bad('{bogus: 1}')),
    /strict decoding error: unknown field "spec.bogus"/,
  );
  assert.match(
    await refused(['apply', '-f', '-'], bad('{allowFirstLastIPs: Maybe}')),
    /spec.allowFirstLastIPs: Unsupported value: "Maybe": supported values: "No", "Yes"/,
  );
  assert.match(await kubectl(['explain', 'ippool.spec.blocks']), /VERSION: +v2\n[\s\S]*First address of a range/);
});

test('questions about the server itself are answered', async () => {
  assert.match(await kubectl(['version']), /Server Version: v1\.35\./);
  assert.match(await kubectl(['api-resources']), /endpointslices +discovery.k8s.io\/v1 +true +EndpointSlice/);
  assert.match(await kubectl(['api-versions']), /^apps\/v1$/m);
  assert.match(await kubectl(['cluster-info']), /control plane.* is running at/);
  assert.match(await kubectl(['explain', 'pod.spec.containers.ports']), /containerPort\s+<integer> -required-/);
  assert.equal(await kubectl(['auth', 'can-i', 'create', 'pods']), 'yes\n');
  assert.equal(await kubectl(['get', '--raw', '/readyz']), 'ok');
});

test('malformed objects are refused with the paths of what is wrong', async () => {
  const service = (spec: string) => `{apiVersion: v1, kind: Service, metadata: {name: bad}, spec: ${spec}}`;
  const create = (spec: string) => refused(['create', '-f', '-'], service(spec));
  assert.match(
    await create('{ports: [{port: 70000}]}'),
    /spec.ports\[0\].port: Invalid value: 70000: must be between 1 and 65535, inclusive/,
  );
  assert.match(await create('{ports: [{port: 80}], clusterIP: 10.96.0.1}'), /provided IP is already allocated/);
  assert.match(
    await create('{ports: [{port: 80}], ipFamilies: [IPv9]}'),
    /spec.ipFamilies\[0\]: Unsupported value: "IPv9"/,
  );
  assert.match(await create('{ports: [{port: "x"}]}'), /cannot unmarshal string into Go struct field ServicePort/);
});
