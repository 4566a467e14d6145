import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { compileBpf } from '@sluice/testing';
import { BpfFormatError } from './format-error.ts';
import { linkProgram } from './link-program.ts';
import { parseObject } from './object.ts';
import type { ObjectSpec, ProgramSpec } from './spec.ts';

const object = parseObject(compileBpf(join(import.meta.dirname, '../test/fixtures/linking.bpf.c')), 'linking');

function program(spec: ObjectSpec, name: string): ProgramSpec {
  const found = spec.programs.find((candidate) => candidate.name === name);
  assert.ok(found, `program ${name}`);
  return found;
}

describe('an object', () => {
  test('has its license, and its programs with the types that their sections tell', () => {
    assert.equal(object.license, 'Dual MIT/GPL');
    assert.deepEqual(
      object.programs.map(({ name, type, attachType }) => [name, type, attachType]),
      [
        ['first', 3, undefined],
        ['second', 3, undefined],
        ['alone', 3, 46],
        ['calls_kernel', 31, undefined],
      ],
    );
  });

  test('has maps with the sizes of their types', () => {
    const shapes = object.maps.map(({ keyTypeId, valueTypeId, ...shape }) => shape);
    assert.deepEqual(shapes, [
      { name: 'table', type: 1, keySize: 8, valueSize: 8, maxEntries: 100, flags: 1, extra: 0 },
      { name: 'ring', type: 27, keySize: 0, valueSize: 0, maxEntries: 4096, flags: 0, extra: 0 },
    ]);
  });

  test('has variables where the compiler put them, static ones too', () => {
    const places = object.variables.map(({ typeId, ...place }) => place).sort((a, b) => (a.name < b.name ? -1 : 1));
    assert.deepEqual(places, [
      { name: 'config_first', section: '.rodata', offset: 0, size: 4 },
      { name: 'config_second', section: '.rodata', offset: 8, size: 8 },
      { name: 'counter', section: '.bss', offset: 0, size: 8 },
      { name: 'hidden', section: '.data', offset: 4, size: 4 },
      { name: 'initial', section: '.data', offset: 0, size: 4 },
    ]);
    const rodata = object.dataSections.find(({ name }) => name === '.rodata');
    assert.equal(rodata?.readOnly, true);
    assert.equal(rodata?.data[0], 7);
  });

  test('has subprograms of .text and of other sections, static and global', () => {
    const places = object.functions.map(({ name, section, linkage }) => `${name} ${section} ${linkage}`).sort();
    assert.deepEqual(places, [
      'add_index .text static',
      'beside tc static',
      'sum_up .text static',
      'text_global .text global',
    ]);
  });

  test('says what its code refers to, without relocation for a static function of the same section', () => {
    const kinds = program(object, 'first').references.map(({ instruction, ...reference }) => reference);
    assert.deepEqual(kinds, [
      { kind: 'map', map: 'ring' },
      { kind: 'call', function: 'beside' },
      { kind: 'data', section: '.rodata', offset: 0 },
      { kind: 'data', section: '.rodata', offset: 8 },
    ]);
    const kernel = program(object, 'calls_kernel').references.filter(({ kind }) => kind === 'kfunc');
    assert.deepEqual(
      kernel.map((reference) => (reference.kind === 'kfunc' ? [reference.name, reference.weak] : [])),
      [
        ['missing_function', true],
        ['bpf_rcu_read_lock', false],
        ['bpf_rcu_read_unlock', false],
      ],
    );
  });

  test('knows the source line of each statement', () => {
    const [line] = program(object, 'alone').lines;
    assert.match(line?.file ?? '', /linking\.bpf\.c$/);
    assert.equal(line?.instruction, 0);
    assert.ok(program(object, 'alone').lines.some(({ text }) => text.includes('return skb->len')));
  });

  test('of another kind of file is refused by what is wrong with it', () => {
    const refused = (bytes: Uint8Array, pattern: RegExp) => assert.throws(() => parseObject(bytes, 'x.o'), pattern);
    refused(new Uint8Array(0), /x\.o: ELF header at offset 0: 0 bytes are less than an ELF header/);
    refused(new TextEncoder().encode('#!/bin/sh\n'.repeat(20)), /this is not an ELF file/);
    const otherMachine = compileBpf(join(import.meta.dirname, '../test/fixtures/linking.bpf.c'));
    otherMachine[18] = 62;
    refused(otherMachine, /machine 62 is not BPF/);
  });

  test('with a program in a section of unknown meaning is refused', () => {
    const renamed = compileBpf(join(import.meta.dirname, '../test/fixtures/linking.bpf.c'));
    const text = Buffer.from(renamed.buffer);
    // In the section names and in BTF.
    for (let at = text.indexOf('tcx/ingress'); at >= 0; at = text.indexOf('tcx/ingress', at)) text.write('tcy', at);
    assert.throws(
      () => parseObject(renamed, 'x.o'),
      (error) =>
        error instanceof BpfFormatError && error.section === 'tcy/ingress' && /program alone/.test(error.message),
    );
  });
});

describe('a linked program', () => {
  const linked = linkProgram(program(object, 'first'), object);
  const view = new DataView(linked.instructions.buffer);

  test('begins with the program and holds each function that it reaches once', () => {
    assert.deepEqual(
      linked.functions.map(({ name }) => name),
      ['first', 'beside', 'text_global', 'sum_up', 'add_index'],
    );
    const bytes = [program(object, 'first'), ...object.functions].reduce((sum, f) => sum + f.instructions.length, 0);
    assert.equal(linked.instructions.length, bytes);
  });

  test('calls relative to the next instruction', () => {
    const call = program(object, 'first').references.find(({ kind }) => kind === 'call');
    const at = call?.instruction ?? 0;
    const target = linked.functions.find(({ name }) => name === 'beside')?.instruction ?? 0;
    assert.equal(view.getInt32(at * 8 + 4, true), target - at - 1);
    assert.equal(view.getUint8(at * 8 + 1) >> 4, 1);
  });

  test('marks a callback as a function pointer', () => {
    const start = linked.functions.find(({ name }) => name === 'sum_up')?.instruction ?? 0;
    const target = linked.functions.find(({ name }) => name === 'add_index')?.instruction ?? 0;
    const callback = object.functions.find(({ name }) => name === 'sum_up')?.references[0];
    assert.equal(callback?.kind, 'callback');
    const at = start + (callback?.instruction ?? 0);
    assert.equal(view.getUint8(at * 8 + 1) >> 4, 4);
    assert.equal(view.getInt32(at * 8 + 4, true), target - at - 1);
  });

  test('leaves only what the kernel must tell', () => {
    assert.deepEqual(new Set(linked.references.map(({ kind }) => kind)), new Set(['map', 'data']));
  });

  test('has a function record for each function, at its place', () => {
    const records = new DataView(linked.functionInfo.buffer);
    const places = linked.functions.map((_, index) => records.getUint32(index * 8, true));
    assert.deepEqual(
      places,
      linked.functions.map(({ instruction }) => instruction),
    );
  });

  test('has line records in ascending order', () => {
    const records = new DataView(linked.lineInfo.buffer);
    const places = linked.lines.map((_, index) => records.getUint32(index * 16, true));
    assert.ok(places.length > 10);
    assert.deepEqual(
      places,
      [...new Set(places)].sort((left, right) => left - right),
    );
  });

  test('is refused when a function is missing', () => {
    const without = { ...object, functions: object.functions.filter(({ name }) => name !== 'sum_up') };
    assert.throws(() => linkProgram(program(object, 'second'), without), /text_global calls sum_up, which is missing/);
  });
});
