import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { BtfType } from '@sluice/bpf';
import { kernelReasonText, readKernelReasons } from './kernel-reasons.ts';

function kernelWith(...enums: Readonly<Record<string, Readonly<Record<string, number>>>>[]) {
  const types = enums
    .flatMap((each) => Object.entries(each))
    .map(([name, values], id): BtfType => {
      const list = Object.entries(values).map(([value, number]) => ({ name: value, value: BigInt(number) }));
      return { kind: 'enum', id, name, size: 4, signed: false, values: list };
    });
  return {
    find: (name: string) => types.flatMap((type) => (type.name === name ? [type.id] : [])),
    type: (id: number) => types[id] ?? { kind: 'void' as const, id: 0 as const, name: '' as const },
  };
}

const kernel = readKernelReasons(
  kernelWith({
    skb_drop_reason: {
      SKB_NOT_DROPPED_YET: 0,
      SKB_CONSUMED: 1,
      SKB_DROP_REASON_NOT_SPECIFIED: 2,
      SKB_DROP_REASON_NO_SOCKET: 3,
      SKB_DROP_REASON_TCP_CSUM: 4,
      SKB_DROP_REASON_TCP_OLD_DATA: 5,
      SKB_DROP_REASON_NEIGH_FAILED: 6,
      SKB_DROP_REASON_NEW_IN_SOME_KERNEL: 7,
    },
    skb_drop_reason_subsys: { SKB_DROP_REASON_SUBSYS_CORE: 0, SKB_DROP_REASON_SUBSYS_OPENVSWITCH: 3 },
  }),
);

test('numbers are those of the running kernel, names come without what they have in common', () => {
  assert.equal(kernel.numberOf('NEIGH_FAILED'), 6);
  assert.equal(kernel.numberOf('TC_INGRESS'), undefined);
  assert.deepEqual([0, 1, 2, 6].map(kernel.nameOf), ['NOT_DROPPED_YET', 'CONSUMED', 'NOT_SPECIFIED', 'NEIGH_FAILED']);
});

test('reasons of other subsystems are named by the subsystem', () => {
  assert.equal(kernel.nameOf((3 << 16) | 2), 'OPENVSWITCH 2');
  assert.equal(kernel.nameOf((9 << 16) | 2), 'subsystem 9 2');
  assert.equal(kernel.nameOf(99), 'reason 99');
});

test('what reached its socket is left out, what was damaged on its way is not', () => {
  assert.deepEqual(kernel.ignored.map(kernel.nameOf), ['NOT_DROPPED_YET', 'CONSUMED', 'NO_SOCKET', 'TCP_OLD_DATA']);
});

test('every reason has a text and a hint, also one that is newer than this program', () => {
  assert.equal(kernelReasonText('NEIGH_FAILED', 'neigh_invalidate').text, 'neighbour does not answer [NEIGH_FAILED]');
  assert.equal(kernelReasonText('NEW_IN_SOME_KERNEL', undefined).text, 'new in some kernel [NEW_IN_SOME_KERNEL]');
  assert.equal(kernelReasonText('NOT_SPECIFIED', 'veth_xmit').text, 'dropped by the kernel in veth_xmit');
  for (const name of ['NEIGH_FAILED', 'NEW_IN_SOME_KERNEL', 'NOT_SPECIFIED']) {
    assert.match(kernelReasonText(name, undefined).hint, /\w/);
  }
});
