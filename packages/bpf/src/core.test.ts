import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileBpf } from '@sluice/testing';
import { relocateCore } from './core.ts';
import { linkProgram } from './link-program.ts';
import { parseObject } from './object.ts';

const fixtures = join(import.meta.dirname, '../test/fixtures');
const object = parseObject(compileBpf(join(fixtures, 'core.bpf.c')), 'core');
const kernel = parseObject(compileBpf(join(fixtures, 'core-kernel.bpf.c')), 'kernel').btf;
const POISON = 195_896_080;

function relocated(name: string, against = kernel): DataView {
  const program = object.programs.find((candidate) => candidate.name === name);
  assert.ok(program);
  const linked = relocateCore(linkProgram(program, object), { local: object.btf, kernel: against });
  assert.deepEqual(linked.coreRelocations, []);
  return new DataView(linked.instructions.buffer);
}

/** Offsets by hand from core-kernel.bpf.c. */
const expected: Readonly<Record<string, number>> = {
  offset_moved: 0,
  // list begins at 32; inner has 16 bytes there; y stands at 12.
  offset_list: 32 + 2 * 16 + 12,
  // In an anonymous struct of an anonymous union.
  offset_hidden: 32 + 3 * 16 + 4,
  size_shrunk: 2,
  size_list: 48,
  signed_number: 1,
  exists_moved: 1,
  exists_gone: 0,
  exists_added: 1,
  offset_added: 12,
  // flag: bits 9 to 13 of the four bytes at 28.
  shift_left: 64 - 14,
  shift_right: 64 - 5,
  exists_type: 1,
  exists_absent: 0,
  size_inner: 16,
  id_local: object.btf.find('inner', ['struct'])[0] ?? -1,
  id_target: kernel.find('inner', ['struct'])[0] ?? -1,
  value_green: 30,
  value_blue_exists: 0,
};

for (const [name, value] of Object.entries(expected)) {
  test(`${name.replaceAll('_', ' ')} is that of the kernel`, () => {
    assert.equal(relocated(name).getInt32(4, true), value);
  });
}

test('a load follows the field to its new place and size', () => {
  const load = relocated('load_shrunk');
  assert.equal(load.getInt16(2, true), 24);
  // BPF_LDX | BPF_MEM | BPF_H
  assert.equal(load.getUint8(0), 0x69);
});

test('what the kernel lacks becomes an instruction that no verifier accepts', () => {
  const view = relocated('offset_gone');
  assert.equal(view.getUint8(0), 0x85);
  assert.equal(view.getInt32(4, true), POISON);
});

test('against itself nothing changes', () => {
  for (const program of object.programs) {
    // clang counts the shifts of a bitfield in another load than libbpf and we do: same bits, other numbers.
    // A flavour's field, found in the struct of that name, is not there.
    if (/^shift|added$/.test(program.name)) continue;
    const view = relocated(program.name, object.btf);
    assert.deepEqual(new Uint8Array(view.buffer), program.instructions, program.name);
  }
});
