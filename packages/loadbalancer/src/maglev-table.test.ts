import assert from 'node:assert/strict';
import { test } from 'node:test';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { fillTable, maglevTable } from './maglev-table.ts';

const seed = 0x24b7_ef82;

function names(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.244.${index >> 8}.${index & 255}:8080/TCP`).sort();
}

function entries(table: Uint16Array, count: number): number[] {
  const taken = Array.from({ length: count }, () => 0);
  for (const backend of table) taken[backend] = (taken[backend] ?? 0) + 1;
  return taken;
}

test("the paper's example: three backends in a table of seven, and when the second has gone", () => {
  const [first, second, third] = [
    { offset: 3, skip: 4 },
    { offset: 0, skip: 2 },
    { offset: 3, skip: 1 },
  ] as const;
  assert.deepEqual([...fillTable([first, second, third], 7)], [1, 0, 1, 0, 2, 2, 0]);
  const left = ['B0', 'B2'];
  const after = [...fillTable([first, third], 7)].map((backend) => left[backend]);
  assert.deepEqual(after, ['B0', 'B0', 'B0', 'B0', 'B2', 'B2', 'B2']);
});

test('every backend has the same number of entries, or one more', () => {
  for (const [count, size] of [
    [2, 251],
    [87, 16_381],
    [251, 251],
    [1_000, 16_381],
    [1_000, 65_521],
  ] as const) {
    const taken = entries(maglevTable(names(count), { size, seed }), count);
    assert.ok(Math.max(...taken) - Math.min(...taken) <= 1, `${count} in ${size}: ${Math.min(...taken)} and more`);
    assert.equal(
      taken.reduce((sum, each) => sum + each),
      size,
    );
  }
});

test('backends of different weight have their shares, to the entry as Envoy and the incumbent count them', () => {
  const taken = entries(maglevTable(names(4), { size: 1021, seed, weights: [2, 13, 111, 10] }), 4);
  assert.deepEqual(taken, [16, 98, 832, 75]);
});

test('weights that are all the same are none', () => {
  const plain = maglevTable(names(10), { size: 1021, seed });
  assert.deepEqual(maglevTable(names(10), { size: 1021, seed, weights: Array.from({ length: 10 }, () => 7) }), plain);
});

test('a weight that is tiny beside the others still has an entry, and no table is left unfilled', () => {
  const weights = fc.array(fc.integer({ min: 1, max: 1_000_000 }), { minLength: 1, maxLength: 100 });
  fc.assert(
    fc.property(weights, (each) => {
      const taken = entries(maglevTable(names(each.length), { size: 1021, seed, weights: each }), each.length);
      assert.ok(taken.every((count) => count > 0));
    }),
  );
});

/** Of all entries, the share that changes from one backend that stays to another when these go. */
function disrupted(all: readonly string[], gone: ReadonlySet<string>, size: number): number {
  const left = all.filter((name) => !gone.has(name));
  const [before, after] = [maglevTable(all, { size, seed }), maglevTable(left, { size, seed })];
  const moved = before.filter((backend, entry) => {
    const name = all[backend] ?? '';
    return !gone.has(name) && left[after[entry] ?? 0] !== name;
  });
  return moved.length / size;
}

test('when backends go, as few entries of the others move as the paper measured (figure 12, 1,000 in 65,537)', (context) => {
  const all = names(1_000);
  for (const [failed, most] of [
    [1, 0.008],
    [10, 0.029],
    [20, 0.029],
    [30, 0.029],
  ] as const) {
    const shares = Array.from({ length: 5 }, (_, round) => {
      const gone = new Set(Array.from({ length: failed }, (_, index) => all[(round * 197 + index * 31) % 1_000] ?? ''));
      return disrupted(all, gone, 65_537);
    });
    const mean = shares.reduce((sum, share) => sum + share) / shares.length;
    context.diagnostic(`${failed} of 1,000 gone: ${(100 * mean).toFixed(2)} % of the others' entries move`);
    assert.ok(mean > 0 && mean <= most, `${failed} gone: ${mean}`);
  }
});

test('of a hundred entries for each backend, none has 1 % more than its share; few move when one goes', (context) => {
  for (const [count, size] of [
    [3, 1021],
    [10, 1021],
    [87, 16_381],
    [160, 16_381],
  ] as const) {
    const all = names(count);
    const most = Math.max(...entries(maglevTable(all, { size, seed }), count));
    assert.ok(most / (size / count) <= 1.01, `${most} of ${size} entries for one of ${count}`);
    const shares = all.slice(0, 20).map((name) => disrupted(all, new Set([name]), size));
    const mean = shares.reduce((sum, share) => sum + share) / shares.length;
    // The incumbent's documentation promises 1 % here as well, which no Maglev table keeps: the paper says it of the shares.
    context.diagnostic(`1 of ${count} gone from ${size}: ${(100 * mean).toFixed(2)} % of the others' entries move`);
    assert.ok(mean <= 0.05, `${count} in ${size}: ${mean}`);
  }
});

test('a table stays as it is from version to version: nodes that are not upgraded yet must agree with the others', () => {
  const backends = ['10.244.0.7:8080/TCP', '10.244.1.20:8080/TCP', '10.244.2.3:8080/TCP', '[fd00:10:244::7]:8080/TCP'];
  const table = maglevTable(backends, { size: 251, seed });
  assert.equal(table.slice(0, 60).join(''), '032323012130212201233201130231200311033210331120221310223120');
  assert.equal(crc32(new Uint8Array(table.buffer)), 0x3e3d_280b);
});

test('another seed is another table', () => {
  const all = names(10);
  assert.notDeepEqual(maglevTable(all, { size: 1021, seed }), maglevTable(all, { size: 1021, seed: seed + 1 }));
});
