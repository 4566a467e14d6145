import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { StatusReport } from '@sluice/agent';
import { createKubeClient, operatorLease } from '@sluice/kube';
import { clusterAwaited, clusterProblems, clusterStatus, type StatusSource } from './cluster-status.ts';
import { CommandError } from './command-error.ts';
import { clusterStatusText } from './commands/cluster-status-text.ts';
import { podObject, type TestCluster, testCluster } from './test-cluster.ts';
import { statusReport } from './test-report.ts';

const { signal } = new AbortController();
type Say = (node: string) => Partial<StatusReport> | Error | string;

/** Agents that say what they are told, asked as the real ones are. */
function agentsOf({ api }: TestCluster, say: Say): StatusSource & Disposable {
  const client = createKubeClient({ servers: [api.url] });
  return {
    client,
    exec: async ({ pod, command }) => {
      assert.deepEqual(command, ['sluice', 'status', '-o', 'json']);
      const node = pod.replace('sluice-agent-', '');
      const answer = say(node);
      if (answer instanceof Error) throw answer;
      if (typeof answer === 'string') return { exitCode: 1, stdout: '', stderr: answer };
      return { exitCode: 0, stdout: JSON.stringify({ ...statusReport, node, ...answer }), stderr: '' };
    },
    [Symbol.dispose]: () => client.close(),
  };
}

test('all nodes are one table, and nothing is to be said where all is well', async () => {
  await using cluster = await testCluster(['n2', 'n10', 'n1']);
  using source = agentsOf(cluster, () => ({}));
  const status = await clusterStatus(source, signal);
  assert.deepEqual(clusterProblems(status), []);
  assert.deepEqual(clusterAwaited(status), []);
  const text = clusterStatusText(status, { verbose: false, now: statusReport.startedAt + 60_000 });
  assert.deepEqual(
    text.split('\n').map((line) => line.split(/ {2,}/).slice(0, 4)),
    [
      ['NODE', 'SLUICE', 'VERSION', 'UP'],
      ['n1', 'Ok', '0.1.0', '1m'],
      ['n2', 'Ok', '0.1.0', '1m'],
      ['n10', 'Ok', '0.1.0', '1m'],
      [''],
      ['Operator: 1 of 1 pod ready (n2)'],
      [''],
    ],
  );
  const verbose = clusterStatusText(status, { verbose: true, now: Date.now() });
  assert.equal(verbose.match(/^Node: +n\d+ /gm)?.length, 3);
});

test('each node that does not work says why, by the best that is known of it', async () => {
  await using cluster = await testCluster(['n1', 'n2', 'n3', 'n4', 'n5']);
  cluster.api.store.put('pods', podObject('agent', 'n2', { ready: false }));
  cluster.api.store.remove('pods', 'kube-system/sluice-agent-n3');
  cluster.api.store.remove('pods', 'kube-system/sluice-operator-n1');
  using source = agentsOf(cluster, (node) => {
    if (node === 'n4') return new CommandError('exec in pod kube-system/sluice-agent-n4: 500 no connection');
    if (node === 'n5') return 'sluice: no agent answers at /run/sluice/sluice.sock: ECONNREFUSED\nmore';
    return { modules: [{ name: 'overlay', state: 'degraded', why: 'sluice_vxlan is gone' }] };
  });
  assert.deepEqual(clusterProblems(await clusterStatus(source, signal)), [
    'n1: overlay: sluice_vxlan is gone',
    'n2: the agent has not started: ImagePullBackOff: no such image',
    'n3: no agent runs there',
    'n4: exec in pod kube-system/sluice-agent-n4: 500 no connection',
    'n5: the agent does not answer: sluice: no agent answers at /run/sluice/sluice.sock: ECONNREFUSED',
    'operator: there is no pod of it',
  ]);
});

test('what keeps the container from starting that prepares an agent is told, not that the agent waits for it', async () => {
  await using cluster = await testCluster(['n1']);
  const pod = podObject('agent', 'n1', { ready: false });
  const waiting = (reason: string, message?: string) => ({ state: { waiting: { reason, message } } });
  const status = {
    phase: 'Pending',
    initContainerStatuses: [waiting('ErrImageNeverPull', 'image is not present'), waiting('PodInitializing')],
    containerStatuses: [waiting('PodInitializing')],
  };
  cluster.api.store.put('pods', { ...pod, status });
  using source = agentsOf(cluster, () => ({}));
  const [problem] = clusterProblems(await clusterStatus(source, signal));
  assert.equal(problem, 'n1: the agent has not started: ErrImageNeverPull: image is not present');
});

test('a container that is started again and again is told with its last words, an init container and an operator too', async () => {
  await using cluster = await testCluster(['n1']);
  const crash = (program: string, words: string) => ({
    ready: false,
    imageID: 'sha256:a',
    state: { waiting: { reason: 'CrashLoopBackOff', message: `back-off 10s restarting failed container=${program}` } },
    lastState: { terminated: { exitCode: 1, message: words } },
  });
  const words = '/etc/sluice/values.yaml:15: nodePort.range: "9" is not a range of ports';
  for (const program of ['agent', 'operator'] as const) {
    const containerStatuses = [crash(program, `a line before\nsluice-${program}: ${words}\n`)];
    cluster.api.store.put('pods', { ...podObject(program, 'n1'), status: { phase: 'Running', containerStatuses } });
  }
  using source = agentsOf(cluster, () => '');
  assert.deepEqual(clusterProblems(await clusterStatus(source, signal)), [
    `n1: the agent does not answer: CrashLoopBackOff: sluice-agent: ${words}`,
    `operator on n1: CrashLoopBackOff: sluice-operator: ${words}`,
  ]);
  const initContainerStatuses = [crash('install-cni', 'open /host/opt/cni/bin/sluice-cni: Read-only file system')];
  const status = { phase: 'Pending', initContainerStatuses, containerStatuses: [{ ready: false, imageID: '' }] };
  cluster.api.store.put('pods', { ...podObject('agent', 'n1'), status });
  assert.equal(
    clusterProblems(await clusterStatus(source, signal))[0],
    'n1: the agent has not started: CrashLoopBackOff: open /host/opt/cni/bin/sluice-cni: Read-only file system',
  );
});

test('an agent that is ready and says nothing is not told by the phase of its pod', async () => {
  await using cluster = await testCluster(['n1']);
  using source = agentsOf(cluster, () => '');
  const [problem] = clusterProblems(await clusterStatus(source, signal));
  assert.match(problem ?? '', /the agent does not answer: a command in its pod says nothing/);
});

test('an agent of a version that answers otherwise is told, not taken for well', async () => {
  await using cluster = await testCluster(['n1']);
  using source = agentsOf(cluster, () => ({ modules: undefined as never }));
  const [problem] = clusterProblems(await clusterStatus(source, signal));
  assert.match(
    problem ?? '',
    /^n1: the agent answers otherwise than this version knows: modules is no list; see sluice version$/,
  );
});

test('a node that is not known yet is waited for and is no problem', async () => {
  await using cluster = await testCluster(['n1']);
  const unknown = { name: 'n7', local: false, addresses: [], state: 'unknown', why: undefined } as const;
  using source = agentsOf(cluster, () => ({ nodes: [unknown] }));
  const status = await clusterStatus(source, signal);
  assert.deepEqual(clusterProblems(status), []);
  assert.deepEqual(clusterAwaited(status), ['n1: an answer of node n7']);
});

test('what the operator cannot do is told by its own word on the Lease', async () => {
  await using cluster = await testCluster(['n1']);
  const { name, problemAnnotation } = operatorLease;
  const problem = 'nodes: GET /api/v1/nodes: 403 Forbidden';
  const put = (annotations: object) =>
    cluster.api.store.put('leases', { metadata: { namespace: 'kube-system', name, annotations }, spec: {} });
  using source = agentsOf(cluster, () => ({}));
  put({ [problemAnnotation]: problem });
  const status = await clusterStatus(source, signal);
  assert.deepEqual(clusterProblems(status), [`operator: ${problem}`]);
  assert.deepEqual(clusterAwaited(status), [`operator: ${problem}`]);
  cluster.api.store.put('pods', podObject('operator', 'n1', { ready: false }));
  assert.deepEqual(
    clusterProblems(await clusterStatus(source, signal)),
    [`operator: ${problem}`, 'operator on n1: ImagePullBackOff: no such image'],
    'and why its pod does not run: it may have crashed since',
  );
  cluster.api.store.put('pods', podObject('operator', 'n1'));
  put({});
  assert.deepEqual(clusterProblems(await clusterStatus(source, signal)), []);
});
