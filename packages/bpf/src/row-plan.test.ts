import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { planFields } from './row-plan.ts';

const layout = (size: number, ...lines: string[]) => [`struct row, ${size} bytes`, ...lines].join('\n');

/** What becomes of the bytes 1, 2, 3, ... of the former layout; undefined: they do not fit. */
function copied(from: string, to: string, bytes?: readonly number[]): readonly number[] | undefined {
  const sizeOf = (text: string) => Number(/(\d+) bytes/.exec(text)?.[1]);
  const source = Uint8Array.from(bytes ?? Array.from({ length: sizeOf(from) }, (_, index) => index + 1));
  const target = new Uint8Array(sizeOf(to));
  const fits = planFields(from, to).copy(new DataView(source.buffer), 0, new DataView(target.buffer), 0);
  return fits ? [...target] : undefined;
}

describe('a row of another layout keeps', () => {
  test('fields that stand elsewhere, by their names; what is new is zero, reserved room too', () => {
    const from = layout(8, '   0    4 id: __u32', '   4    2 port: __be16', '   6    2 reserved: __u16');
    const to = layout(12, '   0    2 port: __be16', '   4    4 flags: __u32', '   8    4 id: __u32');
    assert.deepEqual(copied(from, to), [5, 6, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]);
    const { lost, added } = planFields(from, to);
    assert.deepEqual([lost, added], [[], ['flags']]);
    assert.deepEqual(planFields(to, from).lost, ['flags']);
  });

  test('fields inside of structs, told apart by the whole path', () => {
    const end = (name: string, at: number) => [
      `   ${at}    4 ${name}: struct end`,
      `   ${at}    2   port: __be16`,
      `   ${at + 2}    2   zone: __u16`,
    ];
    const from = layout(8, ...end('source', 0), ...end('target', 4));
    const to = layout(8, ...end('target', 0), ...end('source', 4));
    assert.deepEqual(copied(from, to), [5, 6, 7, 8, 1, 2, 3, 4]);
  });

  test('a number that is wider or narrower now, as long as it fits', () => {
    const wide = layout(8, '   0    8 count: __u64');
    const narrow = layout(2, '   0    2 count: __u16');
    assert.deepEqual(copied(narrow, wide, [0x34, 0xf2]), [0x34, 0xf2, 0, 0, 0, 0, 0, 0]);
    assert.deepEqual(copied(wide, narrow, [0x34, 0xf2, 0, 0, 0, 0, 0, 0]), [0x34, 0xf2]);
    assert.equal(copied(wide, narrow, [0, 0, 1, 0, 0, 0, 0, 0]), undefined);
  });

  test('the sign of a signed one', () => {
    const from = layout(1, '   0    1 delta: __s8');
    const to = layout(4, '   0    4 delta: __s32');
    assert.deepEqual(copied(from, to, [0xfe]), [0xfe, 0xff, 0xff, 0xff]);
    assert.deepEqual(copied(to, from, [0xfe, 0xff, 0xff, 0xff]), [0xfe]);
    assert.equal(copied(to, from, [0, 1, 0, 0]), undefined);
  });

  test('as much of an array as there is room for', () => {
    const of = (length: number) => layout(2 * length, `   0    ${2 * length} list: __u16[${length}]`);
    assert.deepEqual(copied(of(2), of(3)), [1, 2, 3, 4, 0, 0]);
    assert.deepEqual(copied(of(3), of(2)), [1, 2, 3, 4]);
  });

  test('a value that is no struct', () => {
    assert.deepEqual(copied('__u32, 4 bytes', '__u64, 8 bytes'), [1, 2, 3, 4, 0, 0, 0, 0]);
  });
});

describe('a change beyond recognition is named:', () => {
  const changes: readonly (readonly [string, string, string])[] = [
    ['another byte order', '   0    4 id: __u32', '   0    4 id: __be32'],
    ['another struct', '   0    4 id: struct a[1]', '   0    4 id: struct b[1]'],
    [
      'another struct of the same name in an array',
      '   0    4 list: struct a[1]\n   0    4   x: __u32',
      '   0    4 list: struct a[1]\n   0    4   y: __u32',
    ],
  ];
  for (const [what, from, to] of changes) {
    test(what, () => assert.throws(() => planFields(layout(4, from), layout(4, to)), /^TypeError: (id|list) was/));
  }
});
