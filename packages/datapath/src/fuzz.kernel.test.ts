import assert from 'node:assert/strict';
import { test } from 'node:test';
import { loadProgram, type Program, ProgramType } from '@sluice/bpf';
import { packet } from '@sluice/net';
import { corpus } from '../test/fuzz/corpus.ts';
import { fuzzFrames } from '../test/fuzz/frames.ts';
import { FuzzFailure, fuzz, fuzzedPrograms } from '../test/fuzz/fuzz.ts';
import { draw } from '../test/fuzz/mutate.ts';
import { seededRandom } from '../test/fuzz/random.ts';
import { flaw, repairChecksums } from '../test/fuzz/soundness.ts';

const PACKETS = 100_000;
/** Always the same packets here; `npm run fuzz` sends others each time, and more of them. */
const seed = 20_261_125;

for (const program of fuzzedPrograms()) {
  test(`${program} gives each of ${PACKETS} random packets one verdict with a reason, and breaks none`, (context) => {
    const report = fuzz({ program, packets: PACKETS, seed });
    context.diagnostic(
      `${Math.round(report.packets / report.seconds)} packets/s, ${report.compared} compared, ${report.changed} changed, ${report.taken} taken`,
    );
    context.diagnostic(JSON.stringify({ ...report.actions, ...report.reasons }));
    assert.equal(report.packets, PACKETS);
    assert.ok(report.compared > 100, `${report.compared} packets were sound and forwarded`);
    assert.ok(report.refused < PACKETS / 5, `${report.refused} packets were not run`);
    // Packets that reach all parts: a generator that ends at the first check would find nothing.
    assert.ok(report.passed + (report.reasons.forwarded ?? 0) > PACKETS / 100, 'too few are forwarded');
    assert.ok(report.changed > 100, `${report.changed} of them were changed`);
    const reasons = Object.keys(report.reasons);
    assert.ok(reasons.length >= (program.startsWith('netdev') ? 3 : 8), reasons.join(', '));
  });
}

test(`XDP drops none of ${PACKETS} random frames, and changes none that passes`, (context) => {
  const { sent, compared, seconds } = fuzzFrames({ packets: PACKETS, seed });
  context.diagnostic(`${Math.round(PACKETS / seconds)} frames/s, ${sent} sent, ${compared} compared`);
  assert.ok(sent > PACKETS / 50 && compared > PACKETS / 100, `${sent} sent, ${compared} compared`);
});

test('the same seed sends the same packets, another one others', () => {
  const drawn = (seed: number) => {
    const draft = { bytes: new Uint8Array(4096), length: 0 };
    const [random, packets] = [seededRandom(seed), corpus('pod_from_pod')];
    return Array.from({ length: 1_000 }, () => {
      draw(draft, packets, random);
      return Buffer.from(draft.bytes.subarray(0, draft.length)).toString('hex');
    });
  };
  assert.deepEqual(drawn(7), drawn(7));
  const other = new Set(drawn(8));
  assert.ok(drawn(7).filter((packet) => other.has(packet)).length < 500);
});

function returning(value: number): Program {
  // r0 = value; exit
  const instructions = Uint8Array.of(0xb7, 0, 0, 0, value, 0, 0, 0, 0x95, 0, 0, 0, 0, 0, 0, 0);
  return loadProgram({ name: 'wrong', type: ProgramType.schedCls, instructions, license: 'GPL' });
}

test('a program that drops without a counter is found, with the packet and what sends it again', () => {
  using silent = returning(2);
  const send = () => fuzz({ program: 'pod_from_pod', packets: 5_000, seed: 7, instead: silent });
  assert.throws(send, (error: unknown) => {
    assert.ok(error instanceof FuzzFailure);
    assert.match(error.message, /^pod_from_pod: 0 counters moved, not 1; seed 7, packet 0: [0-9a-f]{30,}$/);
    assert.equal(error.details.index, 0);
    return true;
  });
});

test('a return value that no entry has is found', () => {
  using strange = returning(5);
  const send = () => fuzz({ program: 'pod_from_pod', packets: 5_000, seed: 7, instead: strange });
  assert.throws(send, /^Error: pod_from_pod: returned 5; seed 7, packet 0/);
});

test('damage to a packet is told by its layer, and repaired where it is a checksum', () => {
  for (const builder of [packet().ethernet().ipv4(), packet().ethernet().ipv6()]) {
    for (const bytes of [builder.tcp().payload('odd'), builder.udp().payload('even'), builder.udp().payload('odd')]) {
      assert.equal(flaw(bytes), undefined);
      const draft = { bytes: Uint8Array.from(bytes), length: bytes.byteLength };
      draft.bytes[draft.length - 1] = 0xee;
      assert.match(flaw(draft.bytes) ?? '', /wrong checksum of (tcp|udp)/);
      repairChecksums(draft);
      assert.equal(flaw(draft.bytes), undefined);
    }
  }
  const cut = packet().ethernet().ipv4().tcp().payload().subarray(0, 40);
  assert.match(flaw(cut) ?? '', /tcp|cut off/);
});
