import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { type Clock, fakeClock } from '@sluice/runtime';
import { CommandError } from '../command-error.ts';
import type { Cluster } from './cluster.ts';
import { type CaseResult, type RunOptions, runConnectivityTest } from './run.ts';
import type { Outcome } from './verdict.ts';

const addresses: Readonly<Record<string, Address>> = {
  client: parseAddress('10.244.0.2'),
  'echo-same-node': parseAddress('10.244.0.3'),
  'echo-other-node': parseAddress('10.244.1.2'),
};

/** IPv4 only, and every server answers as it should. */
function cluster(overrides: Partial<Cluster> = {}): Cluster {
  return {
    server: 'https://cluster.test:6443',
    readyNodes: async () => ['near', 'far'],
    ensure: async () => undefined,
    podState: async (_namespace, name) => ({ ready: true, addresses: of(addresses[name]), why: '' }),
    serviceAddresses: async () => ({}),
    readyEndpoints: async () => 1,
    exec: async (_namespace, from, command) => answerOf(from, command),
    deleteNamespace: async () => undefined,
    ...overrides,
  };
}

const of = (address: Address | undefined) => (address === undefined ? {} : { 4: address });

function answerOf(from: string, [, , target = '', port = '']: readonly string[]): Outcome {
  const host = Object.entries(addresses).find(([, address]) => address === target)?.[0] ?? 'echo-other-node';
  const stdout = `ok host=${host} peer=${addresses[from] ?? '10.10.30.101'}:40000 from=${target}:${port}\n`;
  return { exitCode: 0, stdout, stderr: '' };
}

/** Time passes only while somebody waits. */
function hurried(): Clock {
  const clock = fakeClock();
  const setTimeout: Clock['setTimeout'] = (callback, delayMs) => {
    const timer = clock.setTimeout(callback, delayMs);
    queueMicrotask(() => clock.advance(delayMs));
    return timer;
  };
  return { now: clock.now, monotonicNs: clock.monotonicNs, setTimeout };
}

function options(overrides: Partial<RunOptions> = {}): RunOptions {
  return {
    namespace: 'sluice-test',
    image: 'echo',
    only: /^pod-to-pod|^host-to-pod/,
    waitSeconds: 60,
    clock: hurried(),
    signal: new AbortController().signal,
    onStep: () => undefined,
    onResult: () => undefined,
    ...overrides,
  };
}

const failures = (results: readonly CaseResult[]) =>
  results.flatMap(({ name, failure }) => (failure === undefined ? [] : [`${name}: ${failure}`]));

test('a cluster that answers as it should passes every case at the first try', async () => {
  const results = await runConnectivityTest(cluster(), options());
  assert.deepEqual(failures(results), []);
  assert.deepEqual(new Set(results.map((result) => result.tries)), new Set([1]));
  assert.ok(results.length > 5, `${results.length} cases`);
});

test('an exec that breaks fails its case, and the others go on', async () => {
  const exec: Cluster['exec'] = async (_namespace, from, command) => {
    if (from === 'host-near') throw new CommandError('exec in pod sluice-test/host-near: connect ECONNREFUSED');
    return answerOf(from, command);
  };
  const results = await runConnectivityTest(cluster({ exec }), options());
  const failed = results.filter((result) => result.failure !== undefined);
  assert.deepEqual(new Set(failed.map((result) => result.from)), new Set(['host-near']));
  assert.match(failures(results)[0] ?? '', /host-to-pod.*ECONNREFUSED/);
  assert.ok(failed.length < results.length, 'the cases from the client passed');
});

test('a case that works once the tables have arrived passes, and says how often it was tried', async () => {
  let runs = 0;
  const exec: Cluster['exec'] = async (_namespace, from, command) => {
    runs += 1;
    return runs <= 2 ? { exitCode: 1, stdout: 'failed timeout\n', stderr: '' } : answerOf(from, command);
  };
  const [first] = await runConnectivityTest(cluster({ exec }), options());
  assert.deepEqual([first?.failure, first?.tries], [undefined, 3]);
});

test('a pod that never becomes ready ends the test with its name, its reason and the time', async () => {
  const podState: Cluster['podState'] = async () => ({ ready: false, addresses: {}, why: 'phase Pending' });
  await assert.rejects(
    runConnectivityTest(cluster({ podState }), options({ waitSeconds: 5 })),
    /pod sluice-test\/client is not ready after 5 s: phase Pending/,
  );
});

test('an interrupted test stops waiting', async () => {
  const stop = new AbortController();
  const podState: Cluster['podState'] = async () => {
    stop.abort();
    return { ready: false, addresses: {}, why: 'phase Pending' };
  };
  await assert.rejects(runConnectivityTest(cluster({ podState }), options({ signal: stop.signal })), {
    name: 'AbortError',
  });
});
