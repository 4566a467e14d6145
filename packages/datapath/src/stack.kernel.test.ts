/**
 * The verifier adds up the stacks of all calls that may be under way. Until Linux 6.9 it rounds each up to 32 bytes, and
 * the kernel that runs the tests is mostly a later one, which rounds to 16: so it is counted here.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { FunctionSpec, ObjectSpec } from '@sluice/bpf';
import { installationRoot } from '@sluice/runtime';
import { hookObjects, readObject } from './objects.ts';

const STACK_MAX = 512;
const GRANULARITY = 32;

test('every program has enough stack on the oldest kernel', (context) => {
  for (const name of [...hookObjects, 'kfree', 'inspect', 'stale', 'explain']) {
    const object = readObject(`${installationRoot()}/bpf/build`, name);
    for (const program of object.programs) {
      const { bytes, calls } = deepest(program, functionsOf(object));
      context.diagnostic(`${program.name}: ${bytes} bytes`);
      assert.ok(bytes <= STACK_MAX, `${bytes} bytes: ${calls.join(' > ')}`);
    }
  }
});

interface Chain {
  readonly bytes: number;
  readonly calls: readonly string[];
}

function functionsOf({ functions, programs }: ObjectSpec): ReadonlyMap<string, FunctionSpec> {
  return new Map([...functions, ...programs].map((spec) => [spec.name, spec]));
}

/** Recursion there is none: the verifier refuses it. */
function deepest(spec: FunctionSpec, functions: ReadonlyMap<string, FunctionSpec>): Chain {
  const own = frameBytes(spec);
  let below: Chain = { bytes: 0, calls: [] };
  for (const reference of spec.references) {
    if (reference.kind !== 'call' && reference.kind !== 'callback') continue;
    const called = functions.get(reference.function);
    const chain = called && deepest(called, functions);
    if (chain && chain.bytes > below.bytes) below = chain;
  }
  const rounded = Math.ceil(Math.max(own, 1) / GRANULARITY) * GRANULARITY;
  return { bytes: rounded + below.bytes, calls: [`${spec.name} ${own}`, ...below.calls] };
}

/** The lowest place below the frame's pointer that is read, written or named. */
function frameBytes({ instructions }: FunctionSpec): number {
  const view = new DataView(instructions.buffer, instructions.byteOffset, instructions.byteLength);
  const [frame, load, store, storeRegister, move, add] = [10, 1, 2, 3, 0xbf, 0x07];
  let lowest = 0;
  for (let at = 0; at < instructions.byteLength; at += 8) {
    const [code, registers] = [view.getUint8(at), view.getUint8(at + 1)];
    const [destination, source] = [registers & 15, registers >> 4];
    const kind = code & 7;
    const pointer = kind === load ? source : kind === store || kind === storeRegister ? destination : undefined;
    if (pointer === frame) lowest = Math.min(lowest, view.getInt16(at + 2, true));
    const isSum = code === move && source === frame && at + 8 < instructions.byteLength;
    if (isSum && view.getUint8(at + 8) === add && (view.getUint8(at + 9) & 15) === destination)
      lowest = Math.min(lowest, view.getInt32(at + 12, true));
  }
  return -lowest;
}
