// Objects come from files: whatever is in them, the answer is a spec or a BpfFormatError.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileBpf, holds } from '@sluice/testing';
import fc from 'fast-check';
import { BindingError } from './bindings/binding-error.ts';
import { generateBindings } from './bindings/generate.ts';
import { relocateCore } from './core.ts';
import { parseElf } from './elf.ts';
import { BpfFormatError } from './format-error.ts';
import { layoutText } from './layout.ts';
import { linkProgram } from './link-program.ts';
import { parseObject } from './object.ts';

const fixtures = join(import.meta.dirname, '../test/fixtures');
const objects = ['linking', 'core'].map((name) => compileBpf(join(fixtures, `${name}.bpf.c`)));
const kernel = parseObject(compileBpf(join(fixtures, 'core-kernel.bpf.c')), 'kernel').btf;

/** Everything that reads an object. */
function readWhole(bytes: Uint8Array): void {
  const spec = parseObject(bytes, 'damaged.o');
  for (const map of spec.maps) if (map.valueTypeId !== 0) layoutText(spec.btf, map.valueTypeId);
  for (const program of spec.programs) relocateCore(linkProgram(program, spec), { local: spec.btf, kernel });
  const options = {
    command: 'x',
    library: 'x',
    contractPrefix: 'counter',
    configurationPrefix: 'config_',
    externals: {},
  };
  generateBindings([spec], options);
}

function survives(bytes: Uint8Array): void {
  try {
    readWhole(bytes);
  } catch (error) {
    if (error instanceof BindingError) return;
    if (!(error instanceof BpfFormatError)) throw error;
    assert.equal(error.object, 'damaged.o');
    assert.match(error.message, /^damaged\.o: .+ at offset \d+: ./);
  }
}

const object = fc.constantFrom(...objects);

test('an object cut off anywhere is refused by name', () => {
  holds(
    fc.property(object, fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), (bytes, part) => {
      const cut = bytes.slice(0, Math.floor(bytes.length * part));
      assert.throws(() => parseObject(cut, 'damaged.o'), BpfFormatError);
    }),
    200,
  );
});

test('flipped bits anywhere give a spec or a BpfFormatError', () => {
  const flips = fc.array(fc.tuple(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }), fc.nat(7)), {
    minLength: 1,
    maxLength: 8,
  });
  holds(
    fc.property(object, flips, (bytes, places) => {
      const damaged = bytes.slice();
      for (const [part, bit] of places) {
        const at = Math.floor(part * damaged.length);
        damaged[at] = (damaged[at] ?? 0) ^ (1 << bit);
      }
      survives(damaged);
    }),
    500,
  );
});

/** Random bits mostly hit debug sections; these hit what we read. */
test('wrong words in headers, types, symbols and relocations give a spec or a BpfFormatError', () => {
  const places = objects.map((bytes) => {
    const names = /^(\.BTF|\.BTF\.ext|\.symtab|\.rel\..*|\.reltc|\.maps|\.text|tc|license|\.strtab)$/;
    const sections = parseElf(bytes, 'whole.o').sections.filter(({ name }) => names.test(name));
    const read = sections.map(({ data }) => ({ start: data.byteOffset, length: data.length }));
    // Section headers stand at the end, 64 bytes each.
    const view = new DataView(bytes.buffer);
    const headers = { start: Number(view.getBigUint64(40, true)), length: view.getUint16(60, true) * 64 };
    return { bytes, spans: [{ start: 0, length: 64 }, headers, ...read].filter(({ length }) => length >= 4) };
  });
  const word = fc.oneof(fc.constantFrom(0, 1, 0xffffffff, 0x7fffffff, 0x80000000), fc.nat(300), fc.nat(0xffffffff));
  const position = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
  holds(
    fc.property(fc.constantFrom(...places), position, position, word, ({ bytes, spans }, which, where, value) => {
      const span = spans[Math.floor(which * spans.length)];
      assert.ok(span);
      const damaged = bytes.slice();
      new DataView(damaged.buffer).setUint32(span.start + Math.floor(where * ((span.length - 4) / 4)) * 4, value, true);
      survives(damaged);
    }),
    2000,
  );
});
