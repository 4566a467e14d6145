import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { LineInfo } from './spec.ts';
import { parseVerifierLog } from './verifier-error.ts';

const log = `func#0 @0
0: R1=ctx() R10=fp0
; return data[100]; @ pod.bpf.c:42
0: (61) r1 = *(u32 *)(r1 +76)         ; R1_w=pkt(r=0)
1: (71) r0 = *(u8 *)(r1 +100)
invalid access to packet, off=100 size=1, R1(id=0,off=100,r=0)
R1 offset is outside of the packet
processed 2 insns (limit 1000000) max_states_per_insn 0 total_states 0 peak_states 0 mark_read 0
`;

function line(instruction: number, number: number): LineInfo {
  return {
    instruction,
    file: 'lib/x.h',
    line: number,
    column: 1,
    text: `line ${number}`,
    fileOffset: 0,
    textOffset: 0,
  };
}

test('reason is what stands between the last instruction and the statistics', () => {
  const { reason, lastLines } = parseVerifierLog(log);
  assert.equal(
    reason,
    'invalid access to packet, off=100 size=1, R1(id=0,off=100,r=0); R1 offset is outside of the packet',
  );
  assert.match(lastLines.at(-1) ?? '', /^processed 2 insns/);
});

test('source is the line of the last instruction walked', () => {
  const { source } = parseVerifierLog(log, [line(0, 10), line(1, 11), line(2, 12)]);
  assert.deepEqual(source, { file: 'lib/x.h', line: 11, text: 'line 11' });
});

test('without line information the log itself says where', () => {
  assert.deepEqual(parseVerifierLog(log).source, { file: 'pod.bpf.c', line: 42, text: 'return data[100];' });
});

test('log without any place has a reason and no source', () => {
  const { source, reason } = parseVerifierLog('unreachable insn 3\nprocessed 0 insns (limit 1000000)\n');
  assert.equal(source, undefined);
  assert.equal(reason, 'unreachable insn 3');
});

test('empty log gives no reason', () => {
  assert.equal(parseVerifierLog('').reason, 'no reason given');
});

test('bytes behind the end of the log do not count', () => {
  assert.equal(parseVerifierLog('first reason\0stale rest\n').reason, 'first reason');
});
