import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { temporaryBpffs, temporaryDirectory } from '@sluice/testing';
import { fixture, required } from '../test/fixture.ts';
import { assemble, exit, load32, moveImmediate } from './assembler.ts';
import { loadObject } from './load-object.ts';
import { enableStatistics, Program } from './program.ts';
import { loadProgram } from './program-load.ts';
import { ProgramType } from './program-type.ts';
import { VerifierError } from './verifier-error.ts';

const XDP_PASS = 2;
// sizeof(struct __sk_buff)
const SK_BUFF_CONTEXT_BYTES = 192;
const loaded = loadObject(fixture('programs'), { configuration: { config_verdict: 1 } });
after(() => loaded[Symbol.dispose]());
const program = (name: string) => required(loaded.programs, name);

test('test run of a classifier gives verdict, packet and context', () => {
  const context = new Uint8Array(SK_BUFF_CONTEXT_BYTES);
  const MARK_OFFSET = 8;
  new DataView(context.buffer).setUint32(MARK_OFFSET, 41, true);
  const data = Uint8Array.from({ length: 64 }, (_, index) => index);
  const result = program('classify').testRun({ data, context });
  assert.equal(result.returnValue, 1);
  assert.deepEqual(result.data, data);
  assert.equal(new DataView(result.context?.buffer ?? new ArrayBuffer(0)).getUint32(MARK_OFFSET, true), 42);
});

test('test run repeats and tells the time of one run', () => {
  const before = program('classify').testRun({ data: new Uint8Array(64), repeat: 100 });
  assert.equal(before.returnValue, 1);
  assert.ok(Number.isInteger(before.durationNs));
});

test('test run of XDP gives the packet as the program left it', () => {
  const data = Uint8Array.from({ length: 100 }, (_, index) => index);
  const result = program('shorten').testRun({ data });
  assert.equal(result.returnValue, XDP_PASS);
  assert.deepEqual(result.data, data.subarray(14));
});

test('syscall program answers in its context, and the caller’s bytes stay as they were', () => {
  const context = new Uint8Array(Uint32Array.of(3, 0, 0, 0).buffer);
  const result = program('produce').testRun({ context });
  assert.equal(result.returnValue, 7);
  assert.deepEqual([...new Uint32Array(result.context?.buffer ?? new ArrayBuffer(0))], [3, 0, 0, 3]);
  assert.deepEqual([...new Uint32Array(context.buffer)], [3, 0, 0, 0]);
});

test('program type without test runs is refused with its name', () => {
  assert.throws(
    () => program('allow_connect').testRun({ data: new Uint8Array(64) }),
    /test run allow_connect: ENOTSUPP/,
  );
});

test('runs are counted while statistics are enabled, and only then', () => {
  const run = () => program('drop').testRun({ data: new Uint8Array(64), repeat: 10 });
  const start = program('drop').statistics().runCount;
  {
    using _statistics = enableStatistics();
    run();
  }
  const { runCount, runTimeNs } = program('drop').statistics();
  assert.equal(runCount - start, 10n);
  assert.ok(runTimeNs > 0n);
});

test('info tells size, complexity, tag and maps', () => {
  const info = program('uses_rows').info();
  assert.equal(info.type, ProgramType.schedCls);
  assert.ok(info.instructions > 5);
  assert.ok(info.verifiedInstructions >= 5);
  assert.match(info.tag, /^[0-9a-f]{16}$/);
  assert.deepEqual(info.mapIds, [required(loaded.maps, 'rows').info.id]);
});

test('pinned program is the same one when opened again', () => {
  using bpffs = temporaryBpffs();
  const path = join(bpffs.path, 'drop');
  program('drop').pin(path);
  using again = Program.openPinned(path);
  assert.equal(again.info().id, program('drop').info().id);
  assert.equal(again.testRun({ data: new Uint8Array(64) }).returnValue, 2);
  using byId = Program.openById(again.info().id);
  assert.equal(byId.name, 'drop');
});

test('log of a refused program grows until it holds all, from the first instruction to the reason', () => {
  using directory = temporaryDirectory();
  const steps = Array.from({ length: 60_000 }, () => moveImmediate(0, 0));
  // Behind the end of the context.
  const instructions = assemble(...steps, load32(0, 1, 10_000), exit());
  const endless = { name: 'endless', type: ProgramType.schedCls, instructions, license: 'GPL' };
  assert.throws(
    () => loadProgram({ ...endless, logDirectory: directory.path }),
    (error) => {
      assert.ok(error instanceof VerifierError);
      assert.match(error.message, /verifier refuses endless: invalid bpf_context access.* \(EACCES; log: /);
      const log = readFileSync(error.logPath, 'utf8');
      assert.match(log, /^0: /m);
      assert.match(log, /^59999: /m);
      return true;
    },
  );
});

test('program that the kernel does not even look at is a plain error', () => {
  const nonsense = { name: 'nonsense', type: 9999, instructions: exit(), license: 'GPL' };
  assert.throws(() => loadProgram(nonsense), { name: 'SystemError', message: 'bpf load program nonsense: EINVAL' });
});
