import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { compileBpf } from '@sluice/testing';
import { valueType } from './bindings/value-type.ts';
import { type Btf, parseBtf } from './btf.ts';
import { BpfFormatError } from './format-error.ts';
import { layoutsCompatible, layoutText } from './layout.ts';
import { parseObject } from './object.ts';

const fixtures = join(import.meta.dirname, '../test/fixtures');
const btf = parseObject(compileBpf(join(fixtures, 'core-kernel.bpf.c')), 'kernel').btf;

function only(types: Btf, name: string): number {
  const ids = types.find(name);
  assert.equal(ids.length, 1, name);
  return ids[0] ?? 0;
}

describe('BTF', () => {
  test('finds types by name, several in one pass, and nothing by a part of a name', () => {
    const found = btf.findAll(['inner', 'colour', 'thin', 'hing']);
    assert.deepEqual(
      [...found].map(([name, ids]) => [name, ids.map((id) => btf.type(id).kind)]),
      [
        ['inner', ['struct']],
        ['colour', ['enum']],
        ['thin', []],
        ['hing', []],
      ],
    );
  });

  test('has sizes of nested arrays and structs', () => {
    assert.equal(btf.sizeOf(only(btf, 'thing')), 88);
    assert.equal(btf.sizeOf(only(btf, '__u16')), 2);
  });

  test('names the type that has no size', () => {
    assert.throws(() => btf.sizeOf(0), /kernel: \.BTF at offset \d+: a void has no size/);
  });

  test('refuses an id that it does not have', () => {
    assert.throws(() => btf.type(9999), /type id 9999 of \d+/);
  });

  test('refuses what is not BTF', () => {
    assert.throws(() => parseBtf(new Uint8Array(10), 'short'), /short: \.BTF at offset 0: 10 bytes/);
    assert.throws(() => parseBtf(new Uint8Array(100), 'zeros'), /magic 0x0 is not BTF/);
    const big = new Uint8Array(100);
    big.set([0xeb, 0x9f]);
    assert.throws(() => parseBtf(big, 'big'), /big-endian/);
  });

  test('a chain of typedefs without an end is an error, not a hang', () => {
    // One typedef of itself: header, record {name 0, kind 8, type 1}, strings "\0".
    const bytes = new Uint8Array(24 + 12 + 1);
    const view = new DataView(bytes.buffer);
    [0xeb9f | (1 << 16), 24, 0, 12, 12, 1].forEach((word, index) => {
      view.setUint32(index * 4, word, true);
    });
    view.setUint32(28, 8 << 24, true);
    view.setUint32(32, 1, true);
    assert.throws(() => parseBtf(bytes, 'loop').resolve(1), /chain of more than 64 typedefs/);
  });
});

test('a layout shows each member with offset, size and type, nested ones indented', () => {
  assert.equal(
    layoutText(btf, only(btf, 'thing')),
    [
      'struct thing, 88 bytes',
      '   0    8 moved: __u64',
      '   8    4 first: __u32',
      '  12    4 added: __u32',
      '  16    8 number: __s64',
      '  24    2 shrunk: __u16',
      '  26    2 between: __u16',
      '  28    4 more: __u32 : 9 bits',
      '  29    4 flag: __u32 : 5 bits',
      '  32   48 list: struct inner[3]',
      '  32    8   before: __u64',
      '  40    4   x: __u32',
      '  44    4   y: __u32',
      '  80    8 : union {}',
      '  80    8   : struct {}',
      '  80    4     unrelated: __u32',
      '  84    4     hidden: __u32',
      '  80    8   whole: __u64',
    ].join('\n'),
  );
});

describe('two layouts are compatible', () => {
  const layout = (...lines: string[]) => ['struct row, 24 bytes', ...lines].join('\n');
  const before = layout('   0    8 id: __u64', '   8   16 reserved: __u32[4]');

  test('when a field has come into reserved room, in both directions', () => {
    const after = layout('   0    8 id: __u64', '   8    4 flags: __u32', '  12   12 reserved: __u32[3]');
    assert.equal(layoutsCompatible(before, after), true);
    assert.equal(layoutsCompatible(after, before), true);
  });

  const different: readonly (readonly [string, string])[] = [
    ['a field changed its type', layout('   0    8 id: __be64', '   8   16 reserved: __u32[4]')],
    ['a field changed its name', layout('   0    8 number: __u64', '   8   16 reserved: __u32[4]')],
    ['the struct has another name', before.replace('row', 'other')],
    ['the size changed', before.replace('24 bytes', '32 bytes')],
  ];
  for (const [why, other] of different) {
    test(`but not when ${why}`, () => assert.equal(layoutsCompatible(before, other), false));
  }
});

test('an array of itself is an error, not a hang', () => {
  // Header, record {name 0, kind 3} with {element 1, index 1, length 2}, strings "\0".
  const bytes = new Uint8Array(24 + 24 + 1);
  const view = new DataView(bytes.buffer);
  [0xeb9f | (1 << 16), 24, 0, 24, 24, 1, 0, 3 << 24, 0, 1, 1, 2].forEach((word, index) => {
    view.setUint32(index * 4, word, true);
  });
  assert.throws(() => layoutText(parseBtf(bytes, 'loop'), 1), BpfFormatError);
  assert.throws(() => valueType(parseBtf(bytes, 'loop'), 1, 'x'), BpfFormatError);
});
