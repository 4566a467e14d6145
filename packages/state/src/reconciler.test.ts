import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type FakeClock, fakeClock, recordingLogger } from '@sluice/runtime';
import { operationsCompliance } from './compliance.ts';
import { Controllers } from './controllers.ts';
import { type Operations, type Reconciler, type ReconcilerOptions, reconciler } from './reconciler.ts';
import { Table } from './table.ts';

interface Route {
  readonly prefix: string;
  readonly device: string;
}

const route = (prefix: string, device = 'eth0'): Route => ({ prefix, device });

/** Something outside: a map that counts what is done to it. */
function kernel(initial: readonly Route[] = []) {
  const actual = new Map(initial.map((each) => [each.prefix, each]));
  const calls: string[] = [];
  const failing = new Set<string>();
  const operations: Operations<Route> = {
    update(row, key) {
      calls.push(`update ${key}`);
      if (failing.has(key)) throw new Error('EBUSY');
      actual.set(key, row);
    },
    delete(key) {
      calls.push(`delete ${key}`);
      if (failing.has(key)) throw new Error('EBUSY');
      actual.delete(key);
    },
    list: () => [...actual],
  };
  return { actual, calls, failing, operations };
}

function addForeign(actual: Map<string, Route>): string {
  actual.set('foreign', route('foreign'));
  return 'foreign';
}

function routes(...rows: Route[]): Table<Route> {
  const table = new Table<Route>({ name: 'routes', key: (row) => row.prefix, columns: {}, sources: ['test'] });
  for (const row of rows) table.upsert(row);
  return table;
}

function start(
  desired: ReconcilerOptions<Route>['desired'],
  operations: Operations<Route>,
  more: Partial<ReconcilerOptions<Route>> = {},
): { reconciler: Reconciler<Route>; clock: FakeClock } {
  const clock = fakeClock();
  const started = reconciler({ name: 'routes', desired, operations, clock, random: () => 0, ...more });
  started.start();
  return { reconciler: started, clock };
}

operationsCompliance<Route>({
  name: 'a map in memory, with list',
  make() {
    const { actual, operations } = kernel();
    return { operations, actual: () => actual, addForeign: () => addForeign(actual) };
  },
  rows: [route('a'), route('b'), route('c'), route('d')],
  key: (row) => row.prefix,
  changed: (row) => ({ ...row, device: 'eth9' }),
});

operationsCompliance<Route>({
  name: 'a map in memory, with prune',
  make() {
    const { actual, operations } = kernel();
    const { update, delete: remove } = operations;
    return {
      operations: {
        update,
        delete: remove,
        prune(desired) {
          const foreign = [...actual.keys()].filter((key) => !desired.has(key));
          for (const key of foreign) actual.delete(key);
          return foreign.length;
        },
      },
      actual: () => actual,
      addForeign: () => addForeign(actual),
    };
  },
  rows: [route('a'), route('b'), route('c'), route('d')],
  key: (row) => row.prefix,
  changed: (row) => ({ ...row, device: 'eth9' }),
});

test('changes of the table reach what is there, by the clock', async () => {
  const { actual, operations } = kernel();
  const table = routes(route('a'));
  const { reconciler, clock } = start(table, operations);
  await clock.advanceAsync(20);
  assert.deepEqual([...actual.keys()], ['a']);
  table.upsert(route('b'));
  table.delete('a');
  assert.equal(reconciler.status('b')?.state, 'pending');
  await clock.advanceAsync(20);
  assert.deepEqual([...actual.keys()], ['b']);
  assert.equal(reconciler.status('b')?.state, 'done');
  assert.equal(reconciler.status('a'), undefined);
  await reconciler.stop();
  assert.equal(clock.pendingTimers, 0);
});

test('what is right already is not written: a restart disturbs nothing', async () => {
  const { calls, operations } = kernel([route('a'), route('b', 'eth1')]);
  const { reconciler } = start(routes(route('a'), route('b'), route('c')), operations);
  await reconciler.flush();
  assert.deepEqual(calls, ['update b', 'update c']);
  assert.equal(reconciler.summary().repairs, 0, 'what an earlier process left is no repair');
  await reconciler.stop();
});

test('nothing foreign is deleted before the sources are initialised, then it is', async () => {
  const { actual, operations } = kernel([route('old')]);
  const table = routes(route('a'));
  const { reconciler } = start(table, operations);
  await reconciler.flush();
  assert.ok(actual.has('old'));
  table.upsert(route('b'));
  table.delete('b');
  await reconciler.flush();
  assert.ok(!actual.has('b') && actual.has('old'), 'what the source itself deleted goes, the unknown stays');
  table.markInitialized('test');
  await reconciler.flush();
  assert.deepEqual([...actual.keys()], ['a']);
  assert.equal(reconciler.summary().pruned, 1);
  assert.equal(reconciler.summary().repairs, 0);
  await reconciler.stop();
});

test('the periodic comparison repairs what somebody else changed, and counts it', async () => {
  const { actual, operations } = kernel();
  const table = routes(route('a'), route('b'), route('c'));
  table.markInitialized('test');
  const log = recordingLogger();
  const { reconciler, clock } = start(table, operations, { fullIntervalMs: 1_000, log });
  await clock.advanceAsync(20);
  actual.delete('a');
  actual.set('b', route('b', 'eth7'));
  actual.set('x', route('x'));
  await clock.advanceAsync(900);
  assert.equal(reconciler.summary().repairs, 0);
  await clock.advanceAsync(1_200);
  assert.deepEqual([...actual.values()], [route('b'), route('c'), route('a')]);
  assert.equal(reconciler.summary().repairs, 3);
  assert.equal(log.lines.filter(({ message }) => message === 'repairing').length, 2);
  await clock.advanceAsync(5_000);
  assert.equal(reconciler.summary().repairs, 3, 'nothing to repair any more');
  await reconciler.stop();
});

test('a failing key is tried again with growing delays, and the rest goes on', async () => {
  const { actual, calls, failing, operations } = kernel();
  failing.add('bad');
  const { reconciler, clock } = start(routes(route('bad'), route('good')), operations, {
    backoff: { minMs: 100, maxMs: 400 },
  });
  await clock.advanceAsync(20);
  assert.ok(actual.has('good'));
  assert.deepEqual(
    reconciler.errors().map(([key, { error }]) => [key, error]),
    [['bad', 'EBUSY']],
  );
  assert.equal(reconciler.summary().lastError, 'update bad: EBUSY');
  const attempts = () => calls.filter((call) => call === 'update bad').length;
  const seen: number[] = [];
  for (let step = 0; step < 6; step++) {
    await clock.advanceAsync(200);
    seen.push(attempts());
  }
  assert.deepEqual(seen, [2, 3, 3, 4, 4, 5], 'after 100, 200, 400, 400 ms');
  failing.delete('bad');
  await clock.advanceAsync(400);
  assert.equal(reconciler.status('bad')?.state, 'done');
  assert.equal(reconciler.summary().errors, 0);
  await reconciler.stop();
});

test('a deletion that fails is tried again until the object is gone', async () => {
  const { actual, failing, operations } = kernel();
  const table = routes(route('a'));
  const { reconciler, clock } = start(table, operations);
  await clock.advanceAsync(20);
  failing.add('a');
  table.delete('a');
  await clock.advanceAsync(20);
  assert.equal(reconciler.status('a')?.state, 'error');
  failing.delete('a');
  await clock.advanceAsync(200);
  assert.equal(actual.size, 0);
  assert.equal(reconciler.status('a'), undefined);
  await reconciler.stop();
});

test('a row that comes back before its deletion was made is simply there', async () => {
  const { calls, operations } = kernel();
  const table = routes(route('a'));
  const { reconciler } = start(table, operations);
  await reconciler.flush();
  table.delete('a');
  table.upsert(route('a'));
  await reconciler.flush();
  assert.ok(!calls.includes('delete a'));
  await reconciler.stop();
});

test('a row that changes while it is written is written once more', async () => {
  const gate = Promise.withResolvers<void>();
  const { actual, operations } = kernel();
  const table = routes(route('a'));
  let first = true;
  const { reconciler } = start(table, {
    ...operations,
    async update(row, key) {
      if (first) {
        first = false;
        table.upsert(route('a', 'eth5'));
        await gate.promise;
      }
      await operations.update(row, key);
    },
  });
  const flushed = reconciler.flush();
  gate.resolve();
  await flushed;
  assert.equal(actual.get('a')?.device, 'eth5');
  assert.equal(reconciler.status('a')?.state, 'done');
  await reconciler.stop();
});

test('a round handles no more than its limit', async () => {
  const { actual, operations } = kernel();
  const table = routes(...Array.from({ length: 25 }, (_, index) => route(`r${index}`)));
  const { reconciler, clock } = start(table, operations, { limitPerRound: 10, minIntervalMs: 50 });
  await clock.advanceAsync(0);
  assert.equal(actual.size, 10);
  await clock.advanceAsync(49);
  assert.equal(actual.size, 10);
  await clock.advanceAsync(1);
  assert.equal(actual.size, 20);
  await reconciler.flush();
  assert.equal(actual.size, 25);
  await reconciler.stop();
});

test('what takes long waits for all the rest, also for what comes while it is done', async () => {
  const table = routes(route('slow 1'), route('a'), route('slow 2'), route('b'));
  table.markInitialized('test');
  const { operations, calls } = kernel();
  const { reconciler: reconcile } = start(
    table,
    {
      ...operations,
      update: (row, key) => {
        if (key === 'slow 1') table.upsert(route('c'));
        return operations.update(row, key);
      },
    },
    { isSlow: ({ prefix }) => prefix.startsWith('slow') },
  );
  await reconcile.flush();
  await reconcile.stop();
  assert.deepEqual(calls, ['update a', 'update b', 'update slow 1', 'update c', 'update slow 2']);
});

test('a computed desired state is compared with the one before', async () => {
  const { actual, calls, operations } = kernel();
  let wanted = [route('a'), route('b')];
  let known = false;
  const compute = () => new Map(wanted.map((row) => [row.prefix, row]));
  actual.set('old', route('old'));
  const { reconciler } = start(compute, operations, { initialized: () => known });
  await reconciler.flush();
  assert.ok(actual.has('old'));
  calls.length = 0;
  wanted = [route('a'), route('c')];
  known = true;
  reconciler.trigger();
  await reconciler.flush();
  assert.deepEqual(calls.sort(), ['delete b', 'delete old', 'update c']);
  await reconciler.stop();
});

test('a comparison that fails is an error, and is tried again', async () => {
  const { actual, operations } = kernel();
  let broken = true;
  const list = () => {
    if (broken) throw new Error('ENOBUFS');
    return [...actual];
  };
  const { reconciler, clock } = start(routes(route('a')), { ...operations, list });
  await clock.advanceAsync(20);
  assert.equal(reconciler.summary().lastError, 'compare routes: ENOBUFS');
  assert.ok(actual.has('a'), 'changes are made all the same');
  broken = false;
  await clock.advanceAsync(200);
  assert.notEqual(reconciler.summary().lastFullAt, undefined);
  await reconciler.stop();
});

test('a computed desired state that throws is an error of the comparison, and nothing is touched', async () => {
  const { actual, operations } = kernel([route('10.1.0.0/24')]);
  const broken = { now: false };
  const desired = () => {
    if (broken.now) throw new Error('10.1.0.0/33 is no prefix');
    return new Map([['10.1.0.0/24', route('10.1.0.0/24')]]);
  };
  const { reconciler, clock } = start(desired, operations, { fullIntervalMs: 60_000 });
  await using _ = reconciler;
  await clock.advanceAsync(100);
  broken.now = true;
  await clock.advanceAsync(60_000);
  assert.match(reconciler.summary().lastError ?? '', /compare routes: 10\.1\.0\.0\/33 is no prefix/);
  assert.deepEqual([...actual.keys()], ['10.1.0.0/24']);
  [broken.now] = [false];
  actual.clear();
  await clock.advanceAsync(120_000);
  assert.deepEqual([...actual.keys()], ['10.1.0.0/24'], 'it goes on once that works again');
});

test('status reaches the callback, rounds reach the controllers', async () => {
  const { failing, operations } = kernel();
  const controllers = new Controllers(fakeClock());
  const states: string[] = [];
  failing.add('b');
  const { reconciler, clock } = start(routes(route('a'), route('b')), operations, {
    controllers,
    onStatus: (key, { state }) => states.push(`${key} ${state}`),
  });
  await clock.advanceAsync(20);
  assert.deepEqual(states, ['a pending', 'b pending', 'a done', 'b error']);
  assert.equal(controllers.list()[0]?.lastError, 'update b: EBUSY');
  assert.deepEqual([controllers.healthy, controllers.total], [0, 1]);
  failing.clear();
  await clock.advanceAsync(200);
  assert.equal(controllers.healthy, 1);
  await reconciler.stop();
});

test('a thousand failures do not make a thousand lines', async () => {
  const { failing, operations } = kernel();
  const table = routes(...Array.from({ length: 200 }, (_, index) => route(`r${index}`)));
  for (const key of table.keys()) failing.add(key);
  const log = recordingLogger('warn');
  const { reconciler } = start(table, operations, { log });
  await reconciler.flush();
  assert.equal(log.lines.length, 11);
  assert.equal(reconciler.summary().errors, 200);
  await reconciler.stop();
});
