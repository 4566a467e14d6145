/**
 * Maglev hashing (Eisenbud et al., "Maglev: A Fast and Reliable Software Network Load Balancer", NSDI 2016, section 3.4):
 * a table that gives each backend the same share of its entries, and where few others move when one of them goes. Pure:
 * the same backends give the same table, on every node and whatever has been before.
 */
import { murmur3 } from './murmur3.ts';

export interface MaglevOptions {
  /** How many entries: a prime, and no fewer than there are backends. */
  readonly size: number;
  readonly seed: number;
  /** Whole numbers from 1 up, in the order of the names; default: all the same. */
  readonly weights?: readonly number[];
}

/** An entry is a 16-bit number, of which one means that it is free. */
export const maglevBackendsMax = 65_535;

/** Of each entry the backend, by its place among the names, which stand in one order wherever the table is made. */
export function maglevTable(names: readonly string[], { size, seed, weights }: MaglevOptions): Uint16Array {
  const permutations = names.map((name) => permutationOf(name, size, seed));
  return fillTable(permutations, size, weights);
}

/** The order in which a backend wants entries: `offset`, `offset + skip` and so on, around the table. */
export interface Permutation {
  readonly offset: number;
  /** From 1 to the size - 1: as the size is a prime, no entry is left out. */
  readonly skip: number;
}

export function permutationOf(name: string, size: number, seed: number): Permutation {
  const first = murmur3(name, seed);
  return { offset: first % size, skip: (murmur3(name, first) % (size - 1)) + 1 };
}

const FREE = 0xffff;

/** Backends take turns: whose it is takes the first entry of its order that is still free. */
export function fillTable(
  permutations: readonly Permutation[],
  size: number,
  weights?: readonly number[],
): Uint16Array {
  const table = new Uint16Array(size).fill(FREE);
  const from = Int32Array.from(permutations, ({ offset }) => offset);
  // The size is taken off already: what falls below zero is told by its sign, and no branch must be guessed.
  const steps = Int32Array.from(permutations, ({ skip }) => skip - size);
  const areEqual = weights === undefined || weights.every((weight) => weight === weights[0]);
  if (areEqual) fillEvenly(table, from, steps);
  else fillByWeight(table, { from, steps, weights });
  return table;
}

// Apart from the weighted one: a test more for each entry would double the time.
function fillEvenly(table: Uint16Array, from: Int32Array, steps: Int32Array): void {
  const count = from.length;
  for (let taken = 0, backend = 0; taken < table.length; taken += 1) {
    const entry = freeEntry(table, from[backend] ?? 0, steps[backend] ?? 0);
    table[entry] = backend;
    from[backend] = entry;
    backend += 1;
    if (backend === count) backend = 0;
  }
}

function freeEntry(table: Uint16Array, from: number, step: number): number {
  const size = table.length;
  let entry = from;
  while (table[entry] !== FREE) {
    entry += step;
    entry += size & (entry >> 31);
  }
  return entry;
}

interface Weighted {
  readonly from: Int32Array;
  readonly steps: Int32Array;
  readonly weights: readonly number[];
}

/**
 * As Envoy does it (envoyproxy/envoy#2982): a backend lets its turn pass until its share of those so far is due. Its
 * first is due early, so that none is left without an entry. Somebody's always is: together they are owed more turns
 * than there have been.
 */
function fillByWeight(table: Uint16Array, { from, steps, weights }: Weighted): void {
  const sum = weights.reduce((total, weight) => total + weight, 0);
  const due = weights.map((weight) => weight / weights.length);
  for (let taken = 0; taken < table.length; taken += 1) {
    let backend = taken % weights.length;
    while ((taken + 1) * (weights[backend] ?? 0) < (due[backend] ?? 0)) backend = (backend + 1) % weights.length;
    due[backend] = (due[backend] ?? 0) + sum;
    const entry = freeEntry(table, from[backend] ?? 0, steps[backend] ?? 0);
    table[entry] = backend;
    from[backend] = entry;
  }
}
