import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { sameValue } from './freeze.ts';
import { type Operations, reconciler } from './reconciler.ts';
import { Table } from './table.ts';

/** A fresh set of operations over something empty, for one test. */
export interface OperationsSubject<Row extends object> extends Partial<AsyncDisposable> {
  readonly operations: Operations<Row>;
  /** What is really there, read past the operations. */
  actual(): ReadonlyMap<string, Row> | Promise<ReadonlyMap<string, Row>>;
  /** Puts something there that nobody wants, past the operations; returns its key. Undefined: this cannot be done. */
  addForeign?(): string | Promise<string>;
}

export interface OperationsCompliance<Row extends object> {
  readonly name: string;
  readonly make: () => OperationsSubject<Row> | Promise<OperationsSubject<Row>>;
  /** At least three rows with different keys. */
  readonly rows: readonly Row[];
  readonly key: (row: Row) => string;
  /** Another row with the same key. */
  readonly changed: (row: Row) => Row;
  /** Why it must be skipped here, such as for want of root. */
  readonly skip?: string | false;
}

/** The tests that every set of operations of a reconciler must pass. Call it in a test file. */
export function operationsCompliance<Row extends object>(suite: OperationsCompliance<Row>): void {
  const { name, make, key, changed, rows, skip = false } = suite;
  const [first, second, third] = rows;
  assert.ok(first && second && third, 'three rows are needed');
  const wanted = (...list: Row[]) => new Map(list.map((row) => [key(row), row]));
  const check = (title: string, run: (subject: OperationsSubject<Row>) => Promise<void>) =>
    test(title, { skip }, async () => {
      const subject = await make();
      try {
        await run(subject);
      } finally {
        await subject[Symbol.asyncDispose]?.();
      }
    });

  describe(`operations of ${name}`, () => {
    check('update makes the object, and again changes nothing', async ({ operations, actual }) => {
      await operations.update(first, key(first));
      await operations.update(first, key(first));
      assertSame(await actual(), wanted(first));
    });

    check('update replaces what is there and leaves the rest alone', async ({ operations, actual }) => {
      await operations.update(first, key(first));
      await operations.update(second, key(second));
      await operations.update(changed(first), key(first));
      assertSame(await actual(), wanted(changed(first), second));
    });

    check('delete removes the object and only it; a missing one is success', async ({ operations, actual }) => {
      await operations.delete(key(first), undefined);
      await operations.update(first, key(first));
      await operations.update(second, key(second));
      await operations.delete(key(first), first);
      await operations.delete(key(first), first);
      assertSame(await actual(), wanted(second));
    });

    check('list tells what is there', async ({ operations }) => {
      if (!operations.list) return;
      assertSame(new Map(await operations.list()), new Map());
      await operations.update(first, key(first));
      await operations.update(third, key(third));
      assertSame(new Map(await operations.list()), wanted(first, third));
    });

    check('what is foreign goes, once the sources are initialised and not before', async (subject) => {
      if (!subject.addForeign || !(subject.operations.list || subject.operations.prune)) return;
      const foreign = await subject.addForeign();
      const table = desiredTable(key);
      table.upsert(first);
      await using kept = reconciler({ name, desired: table, operations: subject.operations });
      kept.start();
      await kept.flush();
      assert.ok((await subject.actual()).has(foreign), 'nothing may be pruned before all sources have spoken');
      table.markInitialized('test');
      await kept.flush();
      assertSame(await subject.actual(), wanted(first));
      assert.equal(kept.summary().pruned, 1);
    });

    for (const when of ['before', 'after'] as const) {
      check(`with every third operation failing ${when} it acts, all that is wanted comes to be`, async (subject) => {
        const table = desiredTable(key);
        const operations = withFaults(subject.operations, when);
        const backoff = { minMs: 1, maxMs: 1 };
        await using kept = reconciler({ name, desired: table, operations, backoff, minIntervalMs: 0 });
        table.markInitialized('test');
        kept.start();
        for (const row of rows) table.upsert(row);
        await settled(kept, () => table.size);
        table.upsert(changed(first));
        table.delete(key(second));
        await settled(kept, () => table.size);
        assertSame(await subject.actual(), new Map(table.list().map((row) => [key(row), row])));
        assert.ok(kept.summary().failures > 0, 'no fault was injected');
      });
    }
  });
}

function desiredTable<Row extends object>(key: (row: Row) => string): Table<Row> {
  return new Table<Row>({ name: 'desired', key, columns: {}, sources: ['test'] });
}

async function settled(
  kept: { flush(): Promise<void>; summary(): { pending: number; errors: number } },
  wanted: () => number,
): Promise<void> {
  for (let round = 0; round < 1_000; round++) {
    await kept.flush();
    const { pending, errors } = kept.summary();
    if (pending === 0 && errors === 0) return;
    // The backoff is a millisecond of real time.
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  assert.fail(`did not settle with ${wanted()} rows wanted: ${JSON.stringify(kept.summary())}`);
}

/** The same operations, of which every third fails, either without or after having acted. */
export function withFaults<Row>(operations: Operations<Row>, when: 'before' | 'after'): Operations<Row> {
  let calls = 0;
  const faulty = async (act: () => void | Promise<void>) => {
    const fails = ++calls % 3 === 0;
    if (!fails || when === 'after') await act();
    if (fails) throw new Error('injected fault');
  };
  return {
    ...operations,
    update: (row, key, last) => faulty(() => operations.update(row, key, last)),
    delete: (key, last) => faulty(() => operations.delete(key, last)),
  };
}

function assertSame<Row>(actual: ReadonlyMap<string, Row>, expected: ReadonlyMap<string, Row>): void {
  if (sameValue(new Map(actual), new Map(expected))) return;
  const sorted = (map: ReadonlyMap<string, Row>) => Object.fromEntries([...map].sort(([a], [b]) => (a < b ? -1 : 1)));
  assert.deepEqual(sorted(actual), sorted(expected));
}
