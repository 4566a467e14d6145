import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startTestKubectl, type TestKubectl } from './test-kubectl.ts';

/** The real kubectl of Kubernetes 1.35: daemon sets from apply to rollout undo. */

let tool: TestKubectl;

before(async () => {
  tool = await startTestKubectl();
});

after(() => tool[Symbol.asyncDispose]());

const kubectl = (args: readonly string[], stdin?: string) => tool.kubectl(args, stdin);
const refused = (args: readonly string[], stdin?: string) => tool.refused(args, stdin);
const rollout = (verb: string, ...more: string[]) => kubectl(['rollout', verb, 'daemonset/agent', ...more]);
const images = async () =>
  (await kubectl(['get', 'pods', '-l', 'app=agent', '-o', 'jsonpath={.items[*].spec.containers[0].image}'])).split(' ');

const agent = (image: string, { more = '', strategy = '' } = {}) => `
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent, namespace: default}
spec:
  selector: {matchLabels: {app: agent}}
  ${strategy}
  template:
    metadata: {labels: {app: agent}}
    spec: {containers: [{name: a, image: "${image}"}]${more}}
`;

test('a daemon set is applied, listed and described, with a pod on each node', async () => {
  assert.match(await kubectl(['apply', '-f', '-'], agent('agent:1')), /daemonset.apps\/agent created/);
  assert.match(await rollout('status', '--timeout=60s'), /daemon set "agent" successfully rolled out/);
  assert.match(
    await kubectl(['get', 'daemonsets']),
    /^NAME +DESIRED +CURRENT +READY +UP-TO-DATE +AVAILABLE +NODE SELECTOR +AGE\nagent +3 +3 +3 +3 +3 +<none> /,
  );
  assert.match(
    await kubectl(['describe', 'ds', 'agent']),
    /Desired Number of Nodes Scheduled: 3\n[\s\S]*Pods Status: +3 Running[\s\S]*SuccessfulCreate.*Created pod: agent-/,
  );
  assert.match(await kubectl(['get', 'pods', '-o', 'wide']), /agent-\w+ +1\/1 +Running .* n1 /);
  assert.match(await kubectl(['get', 'controllerrevisions']), /agent-\w+ +daemonset.apps\/agent +1 /);
});

test('a new image, a restart and an undo roll through; the history has each template and its cause', async () => {
  await kubectl(['set', 'image', 'daemonset/agent', 'a=agent:2']);
  await kubectl(['annotate', 'daemonset/agent', 'kubernetes.io/change-cause=second image']);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.deepEqual(await images(), ['agent:2', 'agent:2', 'agent:2']);
  assert.match(await rollout('restart'), /daemonset.apps\/agent restarted/);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.match(await rollout('history'), /REVISION +CHANGE-CAUSE\n1 +<none>\n2 +\S.*\n3 +second image\n/);
  assert.match(await rollout('history', '--revision=1'), /Pod Template:[\s\S]*Image:\s+agent:1\n/);
  assert.match(await rollout('history', '--revision=3'), /kubectl.kubernetes.io\/restartedAt/);
  assert.match(
    await rollout('undo', '--to-revision=1', '--dry-run=server'),
    /rolled back \(server dry run\)|Pod Template/,
  );
  assert.match(await rollout('undo', '--to-revision=1'), /daemonset.apps\/agent rolled back/);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.deepEqual(await images(), ['agent:1', 'agent:1', 'agent:1']);
  assert.match(await rollout('history'), /REVISION +CHANGE-CAUSE\n2 .*\n3 .*\n4 /);
  assert.match(await rollout('undo'), /rolled back/);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.deepEqual(await images(), ['agent:2', 'agent:2', 'agent:2']);
});

test('with OnDelete pods change as they are deleted, and the status of a rollout says that there is none', async () => {
  await kubectl(['apply', '-f', '-'], agent('agent:5', { strategy: 'updateStrategy: {type: OnDelete}' }));
  assert.match(await refused(['rollout', 'status', 'ds/agent']), /only available for RollingUpdate strategy type/);
  assert.ok(!(await images()).includes('agent:5'));
  const [pod = ''] = (await kubectl(['get', 'pods', '-l', 'app=agent', '-o', 'name'])).split('\n');
  await kubectl(['delete', pod, '--timeout=60s']);
  await kubectl(['wait', '--for=condition=Ready', 'pod', '-l', 'app=agent', '--timeout=60s']);
  assert.equal((await images()).filter((image) => image === 'agent:5').length, 1);
  assert.match(await kubectl(['get', 'ds', 'agent']), /agent +3 +3 +3 +1 +3 /);
});

test('labels, taints, cordons and drains of nodes are heeded', async () => {
  await kubectl(['apply', '-f', '-'], agent('agent:6', { more: ', nodeSelector: {disk: fast}' }));
  await kubectl(['wait', '--for=delete', 'pod', '-l', 'app=agent', '--timeout=60s']);
  await kubectl(['label', 'nodes', 'n1', 'n2', 'disk=fast']);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.match(await kubectl(['get', 'ds']), /agent +2 +2 .* disk=fast /);
  await kubectl(['taint', 'nodes', 'n1', 'gone=yes:NoExecute']);
  await kubectl(['wait', '--for=jsonpath={.status.desiredNumberScheduled}=1', 'ds/agent', '--timeout=60s']);
  assert.match(await kubectl(['get', 'pods', '-l', 'app=agent', '-o', 'wide', '--no-headers']), /^\S+ .* n2 [^\n]*\n$/);
  await kubectl(['taint', 'nodes', 'n1', 'gone-']);
  assert.match(await refused(['drain', 'n2']), /cannot delete DaemonSet-managed Pods/);
  await kubectl(['drain', 'n2', '--ignore-daemonsets', '--timeout=60s']);
  assert.match(await rollout('status', '--timeout=60s'), /successfully rolled out/);
  assert.match(await kubectl(['get', 'ds']), /agent +2 +2 /);
  await kubectl(['uncordon', 'n2']);
});

test('what is wrong with a daemon set is refused with its path', async () => {
  const refusal = (strategy: string) => refused(['apply', '--server-side', '-f', '-'], agent('agent:1', { strategy }));
  assert.match(
    await refusal('updateStrategy: {type: Sometimes}'),
    /spec.updateStrategy.type: Unsupported value: "Sometimes": supported values: "OnDelete", "RollingUpdate"/,
  );
  assert.match(
    await refusal('updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 0, maxSurge: 0}}'),
    /rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0/,
  );
  assert.match(
    await refusal('updateStrategy: {type: RollingUpdate, rollingUpdate: {maxUnavailable: 1, maxSurge: 1}}'),
    /rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero/,
  );
});

test('a daemon set takes its pods and revisions with it', async () => {
  await kubectl(['delete', 'ds', 'agent', '--timeout=60s']);
  await kubectl(['wait', '--for=delete', 'pod', '-l', 'app=agent', '--timeout=60s']);
  assert.equal(await kubectl(['get', 'controllerrevisions', '-o', 'name']), '');
});
