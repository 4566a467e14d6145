import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { createKubeClient, type KubeClient, type LeaderElection, leaderElection } from './index.ts';
import { FakeApi, sendStatus } from './testing/index.ts';

interface Candidate {
  readonly election: LeaderElection;
  readonly log: string[];
}

const lease = (api: FakeApi) => api.store.get('leases', 'kube-system/sluice-operator')?.spec as Record<string, unknown>;

function candidate(t: TestContext, client: KubeClient, identity: string, times: object = {}): Candidate {
  const log: string[] = [];
  const election = leaderElection({
    client,
    namespace: 'kube-system',
    name: 'sluice-operator',
    identity,
    leaseMs: 1_000,
    renewDeadlineMs: 300,
    retryMs: 10,
    onStartedLeading: (signal) => {
      log.push('started');
      signal.addEventListener('abort', () => log.push('aborted'));
    },
    onStoppedLeading: () => log.push('stopped'),
    onNewLeader: (leader) => log.push(`leader ${leader}`),
    ...times,
  });
  t.after(() => election.stop());
  return { election, log };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 2));
}

test('one of two leads; when it steps down the other takes over without waiting for the lease', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const a = candidate(t, client, 'a', { leaseMs: 60_000 });
  a.election.start();
  await until(() => a.election.isLeader);
  const b = candidate(t, client, 'b', { leaseMs: 60_000 });
  b.election.start();
  await until(() => b.election.leader === 'a');
  assert.equal(b.election.isLeader, false);
  await a.election.stop();
  await until(() => b.election.isLeader);
  assert.deepEqual(a.log.slice(0, 4), ['leader a', 'started', 'aborted', 'stopped']);
  assert.equal(lease(api).holderIdentity, 'b');
  assert.equal(lease(api).leaseTransitions, 1);
});

test('a lease that its holder no longer renews is taken over when it has run out', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const spec = { holderIdentity: 'dead', leaseDurationSeconds: 1, leaseTransitions: 4 };
  const metadata = { name: 'sluice-operator', namespace: 'kube-system', labels: { keep: 'me' } };
  api.store.put('leases', { metadata, spec });
  const a = candidate(t, client, 'a');
  a.election.start();
  await until(() => a.election.leader === 'dead');
  await until(() => a.election.isLeader);
  assert.equal(lease(api).leaseTransitions, 5);
  const stored = api.store.get('leases', 'kube-system/sluice-operator')?.metadata as { labels: object };
  assert.deepEqual(stored.labels, { keep: 'me' }, 'what is not ours in the object stays');
});

test('a leader that cannot renew steps down before its lease runs out', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const a = candidate(t, client, 'a', { leaseMs: 60_000 });
  a.election.start();
  await until(() => a.election.isLeader);
  api.fault = () => new Promise<boolean>(() => undefined);
  await until(() => !a.election.isLeader);
  assert.deepEqual(a.log, ['leader a', 'started', 'aborted', 'stopped']);
  api.fault = undefined;
  await until(() => a.election.isLeader);
});

test('a single failed renewal costs nothing', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const a = candidate(t, client, 'a', { renewDeadlineMs: 900 });
  a.election.start();
  await until(() => a.election.isLeader);
  let refused = 0;
  api.fault = (_, response) => {
    if (refused >= 2) return false;
    refused++;
    sendStatus(response, 500, 'InternalError', 'etcd');
    return true;
  };
  const before = lease(api).renewTime;
  await until(() => refused === 2 && lease(api).renewTime !== before);
  assert.deepEqual(a.log, ['leader a', 'started']);
});

test('who lost the lease to another steps down at once', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const a = candidate(t, client, 'a', { leaseMs: 60_000 });
  a.election.start();
  await until(() => a.election.isLeader);
  const stored = api.store.get('leases', 'kube-system/sluice-operator') ?? {};
  api.store.put('leases', { ...stored, spec: { holderIdentity: 'thief', leaseDurationSeconds: 60 } });
  await until(() => !a.election.isLeader);
  assert.equal(a.election.leader, 'thief');
});

test('times that cannot work are refused', async () => {
  using client = createKubeClient({ servers: ['http://127.0.0.1:1'] });
  const options = { client, namespace: 'a', name: 'b', identity: 'c', onStartedLeading: () => undefined };
  assert.throws(() => leaderElection({ ...options, leaseMs: 1_000 }), RangeError);
  assert.throws(() => leaderElection({ ...options, renewDeadlineMs: 2_000 }), RangeError);
});

test('what the leader has to say is on the Lease as long as it has, and what others wrote there stays', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  const said = () => {
    const { metadata } = api.store.get('leases', 'kube-system/sluice-operator') ?? {};
    return (metadata as { annotations?: Record<string, string> } | undefined)?.annotations;
  };
  const metadata = { namespace: 'kube-system', name: 'sluice-operator', annotations: { theirs: 'stays' } };
  api.store.put('leases', { metadata, spec: { holderIdentity: '' } });
  let problem: string | undefined = 'pods: 403';
  const { election } = candidate(t, client, 'a', {
    ...{ leaseMs: 60_000, renewDeadlineMs: 30_000 },
    annotations: () => ({ 'sluice.io/problem': problem }),
  });
  election.start();
  await until(() => said()?.['sluice.io/problem'] === 'pods: 403');
  problem = undefined;
  await until(() => said()?.['sluice.io/problem'] === undefined);
  problem = 'nodes: 403';
  await until(() => said()?.['sluice.io/problem'] === 'nodes: 403');
  await election.stop();
  assert.deepEqual(said(), { theirs: 'stays' }, 'who has stopped has nothing to say');
});

test('why the Lease cannot be had is known until it can', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  let refuses = true;
  api.fault = (request, response) => {
    if (!refuses || !request.path.includes('/leases')) return false;
    sendStatus(response, 403, 'Forbidden', 'cannot get leases');
    return true;
  };
  const { election } = candidate(t, client, 'a', { leaseMs: 60_000, renewDeadlineMs: 30_000 });
  election.start();
  await until(() => election.problem !== undefined);
  assert.match(election.problem ?? '', /cannot get leases/);
  refuses = false;
  await until(() => election.isLeader);
  assert.equal(election.problem, undefined);
});

test('who stops while a renewal is under way gives the lease back all the same', async (t) => {
  await using api = await FakeApi.start();
  using client = createKubeClient({ servers: [api.url] });
  let renewals = 0;
  const { election } = candidate(t, client, 'a', { leaseMs: 60_000, renewDeadlineMs: 30_000 });
  election.start();
  await until(() => election.isLeader);
  // It reaches the server, which does not come to the answer.
  api.fault = ({ method }) => {
    if (method !== 'PUT' || renewals > 0) return false;
    renewals += 1;
    const written = api.store.get('leases', 'kube-system/sluice-operator');
    api.store.put('leases', { ...written, spec: { ...lease(api), renewTime: '2026-11-27T00:00:00.000000Z' } });
    return true;
  };
  await until(() => renewals > 0);
  await election.stop();
  assert.equal(lease(api).holderIdentity, '');
});
