import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { leakCheck, temporaryDirectory } from '@sluice/testing';
import { fixture, required } from '../test/fixture.ts';
import { MapType } from './kernel-constants.ts';
import { layoutText } from './layout.ts';
import { loadObject } from './load-object.ts';
import { BpfMap } from './map.ts';
import { u32Codec } from './scalar-codec.ts';
import type { MapDescriptor } from './spec.ts';
import { openMap } from './typed-map.ts';
import { VerifierError } from './verifier-error.ts';

const programs = fixture('programs');
const refused = fixture('refused');
const packet = new Uint8Array(64);

const rowCodec = {
  size: 8,
  encode: (value: number, view: DataView, offset: number) => view.setUint32(offset, value, true),
  decode: (view: DataView, offset: number) => view.getUint32(offset, true),
};

function rowsDescriptor(): MapDescriptor<number, number> {
  const spec = programs.maps.find((map) => map.name === 'rows');
  assert.ok(spec);
  return {
    ...spec,
    key: u32Codec,
    value: rowCodec,
    keyLayout: layoutText(programs.btf, spec.keyTypeId),
    valueLayout: layoutText(programs.btf, spec.valueTypeId),
  };
}

test('whole object is loaded, and all of it is given back', () => {
  using _leaks = leakCheck();
  using loaded = loadObject(programs);
  assert.deepEqual([...loaded.programs.keys()].sort(), programs.programs.map((program) => program.name).sort());
  assert.equal(required(loaded.programs, 'classify').info().name, 'classify');
});

test('only the maps that the chosen programs refer to are created', () => {
  using loaded = loadObject(programs, { programs: ['uses_rows'] });
  assert.deepEqual([...loaded.programs.keys()], ['uses_rows']);
  assert.deepEqual([...loaded.maps.keys()], ['rows']);
});

test('configuration reaches the program', () => {
  using loaded = loadObject(programs, { programs: ['classify'], configuration: { config_verdict: 2 } });
  assert.equal(required(loaded.programs, 'classify').testRun({ data: packet }).returnValue, 2);
});

test('configuration that the object does not have, or cannot hold, is refused by name', () => {
  const load = (configuration: Record<string, number | Uint8Array>) => () => loadObject(programs, { configuration });
  assert.throws(load({ config_absent: 1 }), /object programs has no variable config_absent/);
  assert.throws(load({ config_small: 256 }), /config_small of 1 bytes cannot hold 256/);
  assert.throws(load({ config_verdict: new Uint8Array(3) }), /config_verdict takes 4 bytes, not 3/);
});

test('program that the object does not have is refused with what it has', () => {
  assert.throws(() => loadObject(programs, { programs: ['absent'] }), /no program absent; it has .*classify/);
});

test('reused map is the one that the program uses, and stays open', () => {
  const descriptor = rowsDescriptor();
  using own = BpfMap.create(descriptor);
  openMap(own, descriptor).update(1, 77);
  {
    using loaded = loadObject(programs, { programs: ['uses_rows'], maps: { rows: own } });
    assert.equal(required(loaded.programs, 'uses_rows').testRun({ data: packet }).returnValue, 77);
  }
  assert.equal(openMap(own, descriptor).lookup(1), 77);
});

test('reused map of another shape is refused, showing both', () => {
  using own = BpfMap.create({ ...rowsDescriptor(), valueSize: 16 });
  assert.throws(() => loadObject(programs, { maps: { rows: own } }), {
    name: 'LayoutMismatchError',
    expected: 'hash, key 4 bytes, value 8 bytes, flags 0x0',
    actual: 'hash, key 4 bytes, value 16 bytes, flags 0x0',
  });
});

test('reused map of another size goes on as it is', () => {
  using own = BpfMap.create({ ...rowsDescriptor(), maxEntries: 9 });
  using loaded = loadObject(programs, { programs: ['uses_rows'], maps: { rows: own } });
  assert.equal(loaded.maps.get('rows')?.info.maxEntries, 9);
});

test('object that was compiled from another layout than TypeScript knows is refused before anything is created', () => {
  using _leaks = leakCheck();
  const descriptor = rowsDescriptor();
  const layouts = [{ ...descriptor, valueLayout: descriptor.valueLayout.replace('second', 'zweite') }];
  assert.throws(
    () => loadObject(programs, { layouts }),
    (error: Error) => error.name === 'LayoutMismatchError' && /zweite.*actual.*second/s.test(error.message),
  );
  using loaded = loadObject(programs, { layouts: [descriptor], programs: ['uses_rows'] });
  assert.equal(loaded.maps.size, 1);
});

test('map in the kernel tells its layout by its own types', () => {
  using loaded = loadObject(programs, { programs: ['uses_rows'] });
  const descriptor = rowsDescriptor();
  const rows = required(loaded.maps, 'rows');
  openMap(rows, descriptor);
  const stale = { ...descriptor, valueLayout: descriptor.valueLayout.replace('second', 'zweite') };
  assert.throws(() => openMap(rows, stale), /map rows \(value\) is laid out differently/);
});

test('refused program is an error with the failing source line, the reason and the whole log', () => {
  using directory = temporaryDirectory();
  using _leaks = leakCheck();
  const load = () => loadObject(refused, { logDirectory: directory.path });
  assert.throws(load, (error) => {
    assert.ok(error instanceof VerifierError);
    assert.equal(error.program, 'refused');
    assert.match(error.source?.file ?? '', /refused\.bpf\.c$/);
    assert.match(error.source?.text ?? '', /return data\[100\]/);
    assert.match(error.reason, /invalid access to packet.*; R1 offset is outside of the packet/);
    assert.match(error.message, /verifier refuses refused at .*refused\.bpf\.c:8 `return data\[100\];.*EACCES/);
    assert.ok(!error.message.includes('\n'));
    const log = readFileSync(error.logPath, 'utf8');
    assert.ok(error.reason.split('; ').every((line) => log.includes(line)));
    assert.ok(error.lastLines.every((line) => log.includes(line)));
    return true;
  });
});

test('socket storage is created with the types that the kernel demands', () => {
  using loaded = loadObject(programs, { programs: ['allow_connect'] });
  const { info } = required(loaded.maps, 'storage');
  assert.equal(info.type, MapType.skStorage);
  assert.ok(info.btfId > 0);
});

test('what the kernel does not have is named, and nothing stays open', () => {
  using _leaks = leakCheck();
  const missing = fixture('missing');
  assert.throws(() => loadObject(missing, { programs: ['calls_missing'] }), {
    name: 'NotSupportedError',
    feature: 'kernel function bpf_no_such_function, which calls_missing calls',
  });
  assert.throws(() => loadObject(missing, { programs: ['lists_missing'] }), {
    name: 'NotSupportedError',
    feature: 'attaching lists_missing to bpf_iter_no_such_target',
  });
  assert.throws(() => loadObject(missing, { programs: ['traces_missing'] }), {
    name: 'NotSupportedError',
    feature: 'attaching traces_missing to btf_trace_no_such_tracepoint',
  });
});
