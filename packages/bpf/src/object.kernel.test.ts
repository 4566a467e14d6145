import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { compileBpf } from '@sluice/testing';
import { readKernelBtf } from './kernel-btf.ts';
import { loadObject } from './load-object.ts';
import { parseObject } from './object.ts';

const fixtures = join(import.meta.dirname, '../test/fixtures');

test('the kernel takes subprograms, callbacks, kernel functions, global data and their debug information', () => {
  const spec = parseObject(compileBpf(join(fixtures, 'linking.bpf.c')), 'linking');
  using loaded = loadObject(spec, { configuration: { config_first: 100 } });
  const first = loaded.programs.get('first');
  const packet = new Uint8Array(64);
  // beside -> text_global: 0+..+63 + 64 * hidden (5) + initial (42), and config_first.
  const sum = (63 * 64) / 2 + 64 * 5 + 42;
  assert.equal(first?.testRun({ data: packet }).returnValue, sum + 100);
  assert.equal(loaded.programs.get('calls_kernel')?.testRun({}).returnValue, 0);
});

test('CO-RE relocations follow the running kernel', () => {
  const spec = parseObject(compileBpf(join(fixtures, 'core-running.bpf.c')), 'core');
  const kernel = readKernelBtf();
  using loaded = loadObject(spec, { kernelBtf: kernel });
  const run = (name: string) => loaded.programs.get(name)?.testRun({}).returnValue;
  const [id] = kernel.find('sk_buff', ['struct']);
  const buffer = kernel.type(id ?? 0);
  assert.equal(buffer.kind, 'struct');
  assert.equal(run('size_of_sk_buff'), buffer.kind === 'struct' ? buffer.size : undefined);
  assert.equal(run('has_no_such_field'), 0);
  assert.equal(run('reads_own_pid'), process.pid);
});

test("the kernel's types go as soon as they are disposed of, not when the collector comes", () => {
  const kernel = readKernelBtf();
  const before = process.memoryUsage().arrayBuffers;
  kernel[Symbol.dispose]();
  assert.equal(kernel.bytes.byteLength, 0);
  assert.ok(before - process.memoryUsage().arrayBuffers > 2 << 20);
});
