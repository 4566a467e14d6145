import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { compileBpf, temporaryDirectory } from '@sluice/testing';
import { parseObject } from '../object.ts';
import { BindingError } from './binding-error.ts';
import { type BindingOptions, generateBindings } from './generate.ts';

const source = join(import.meta.dirname, '../../test/fixtures/bindings.bpf.c');
const options: BindingOptions = {
  command: 'npm run generate',
  library: pathToFileURL(join(import.meta.dirname, '../scalar-codec.ts')).href,
  contractPrefix: 'contract_',
  configurationPrefix: 'config_',
  externals: {
    place: { type: 'Place | undefined', typeName: 'Place', codec: 'placeCodec', from: './place.ts' },
  },
};

const object = parseObject(compileBpf(source), 'bindings.o');

function generated(): Map<string, string> {
  return generateBindings([object], options);
}

describe('generated bindings', () => {
  test('have one interface a struct, without reserved room, in host order', () => {
    const structs = generated().get('structs.ts') ?? '';
    const row = /export interface Row \{\n([^}]*)\}/.exec(structs)?.[1];
    assert.deepEqual(row?.trim().split(/;\s*/), [
      'readonly where: Place | undefined',
      'readonly totalBytes: bigint',
      'readonly signedNumber: number',
      'readonly colour: Colour',
      'readonly pairs: readonly Nested[]',
      'readonly flags: readonly number[]',
      'readonly ready: boolean',
      'readonly packet: Uint8Array',
      'readonly words: Uint16Array',
      '',
    ]);
    assert.match(structs, /export interface Event \{/);
  });

  test('do not count a final MAX as a value of an enum', () => {
    const enums = generated().get('enums.ts') ?? '';
    assert.match(enums, /Red: 1,\n {2}DarkBlue: 7,\n\} as const/);
    assert.match(enums, /7: 'dark_blue'/);
  });

  test('have a configuration of the constants and none of the other variables', () => {
    const configuration = generated().get('configuration.ts') ?? '';
    assert.match(
      configuration,
      /readonly enabled: boolean;\n {2}readonly limit: number;\n {2}readonly port: number;\n\}/,
    );
    assert.match(configuration, /config_port: encodeValue\(be16Codec, configuration\.port\)/);
  });

  test('have a descriptor a map, with its layout', () => {
    const maps = generated().get('maps.ts') ?? '';
    assert.match(maps, /export const rowsByIdMap: MapDescriptor<number, Row> = \{/);
    assert.match(maps, /export const eventsMap: MapDescriptor<undefined, undefined>/);
    assert.match(maps, /valueLayout: `struct row, 120 bytes\n {3}0 {3}16 where: struct place\n/);
  });

  test('are the same each time', () => {
    assert.deepEqual(generated(), generated());
  });

  test('work: a row written is laid out as in C and reads back equal', async () => {
    using directory = temporaryDirectory();
    for (const [name, text] of generated()) writeFileSync(join(directory.path, name), text);
    const place = [
      'export type Place = string;',
      'export const placeCodec = { size: 16, encode: (v, view, at) => view.setUint8(at, v.length),',
      "  decode: (view, at) => 'x'.repeat(view.getUint8(at)) };",
    ].join('\n');
    // The stand-in is JavaScript under a TypeScript name; types are stripped, not checked.
    writeFileSync(join(directory.path, 'place.ts'), place);
    const module: unknown = await import(pathToFileURL(join(directory.path, 'structs.ts')).href);
    assert.ok(module !== null && typeof module === 'object' && 'rowCodec' in module);
    const codec = module.rowCodec as {
      size: number;
      encode(value: unknown, view: DataView, offset: number): void;
      decode(view: DataView, offset: number): unknown;
    };
    const row = {
      where: 'xxx',
      totalBytes: 0x1122334455667788n,
      signedNumber: -2,
      colour: 7,
      pairs: [
        { little: 0x0102, bigEndian: 0x0304 },
        { little: 5, bigEndian: 6 },
      ],
      flags: [1, 2, 3],
      ready: true,
      packet: Uint8Array.from({ length: 24 }, (_, index) => index),
      words: Uint16Array.from({ length: 20 }, (_, index) => 0x0100 + index),
    };
    const bytes = new Uint8Array(codec.size + 3).fill(0xff);
    codec.encode(row, new DataView(bytes.buffer), 3);
    assert.equal(codec.size, 120);
    const hex = (from: number, to: number) => Buffer.from(bytes.subarray(3 + from, 3 + to)).toString('hex');
    assert.equal(hex(16, 24), '8877665544332211');
    assert.equal(hex(24, 28), 'feffffff');
    assert.equal(hex(28, 32), '07000000');
    assert.equal(hex(32, 40), '0201030405000006');
    assert.equal(hex(40, 44), '01020301');
    assert.equal(hex(44, 48), '00000000');
    assert.equal(hex(64, 76), '101112131415161700000000');
    assert.equal(hex(76, 80), '00000000');
    assert.equal(hex(80, 88), '0001010102010301');
    assert.deepEqual(codec.decode(new DataView(bytes.buffer), 3), row);
    assert.throws(
      () => codec.encode({ ...row, flags: [1] }, new DataView(bytes.buffer), 3),
      /1 values for an array of 3/,
    );
  });
});

const refused: readonly (readonly [string, RegExp])[] = [
  ['padding inside', /struct padded\.large: 3 bytes of padding before it/],
  ['padding at the end', /struct tail: 3 bytes of padding at its end/],
  ['bitfields', /struct bits\.a: bitfields have no portable layout/],
  ['pointers', /struct pointing\.pointer: a pointer means nothing/],
  ['long', /struct wide\.number: "long" differs in size/],
  ['unions', /struct mixed\.either: a union is not supported/],
  ['floating point', /struct event2\.number: a float is not supported/],
];

for (const [index, [what, message]] of refused.entries()) {
  test(`the generator refuses ${what} and names it`, () => {
    const bad = parseObject(compileBpf(source, [`-DREFUSED=${index + 1}`]), 'bad.o');
    assert.throws(
      () => generateBindings([bad], options),
      (error) => error instanceof BindingError && message.test(error.message) && error.message.startsWith('bad.o: '),
    );
  });
}

test('two objects that disagree about a map are refused by its name', () => {
  const [first, second] = [10, 11].map((maxEntries) => {
    const [map] = object.maps;
    assert.ok(map);
    return { ...object, maps: [{ ...map, maxEntries }] };
  });
  assert.ok(first && second);
  assert.throws(() => generateBindings([first, second], options), /map rows_by_id: differs from bindings\.o/);
});
