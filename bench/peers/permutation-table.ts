import type { Permutation } from '@sluice/loadbalancer';

/**
 * The table as the paper's pseudo code makes it and the incumbent does: every backend's whole order of entries stands in
 * memory, then entries are taken by it. Orders come from the same hashes, so that the tables can be compared;
 * `permutations` is room for all of them, kept from one table to the next.
 */
export function permutationTable(orders: readonly Permutation[], size: number, permutations: Uint32Array): Uint16Array {
  for (const [backend, { offset, skip }] of orders.entries()) {
    for (let place = 0, entry = offset; place < size; place += 1) {
      permutations[backend * size + place] = entry;
      entry += skip;
      if (entry >= size) entry -= size;
    }
  }
  const free = 0xffff;
  const table = new Uint16Array(size).fill(free);
  const next = new Uint32Array(orders.length);
  for (let taken = 0; taken < size; taken += 1) {
    const backend = taken % orders.length;
    let place = next[backend] ?? 0;
    while (table[permutations[backend * size + place] ?? 0] !== free) place += 1;
    table[permutations[backend * size + place] ?? 0] = backend;
    next[backend] = place + 1;
  }
  return table;
}
