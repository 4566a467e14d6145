import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isExpired, KubeError } from './error.ts';
import { type WatchEvent, watchEvents } from './watch-stream.ts';

async function* pieces(text: string, sizes: readonly number[]): AsyncGenerator<Buffer> {
  const bytes = Buffer.from(text);
  let start = 0;
  for (let index = 0; start < bytes.length; index++) {
    const end = start + (sizes.length === 0 ? bytes.length : (sizes[index % sizes.length] ?? 1));
    yield bytes.subarray(start, end);
    start = end;
  }
}

async function read(text: string, sizes: readonly number[] = [], max = 10_000): Promise<WatchEvent[]> {
  const events: WatchEvent[] = [];
  for await (const event of watchEvents(pieces(text, sizes), max)) events.push(event);
  return events;
}

const line = (type: string, name: string, resourceVersion = '1') =>
  `${JSON.stringify({ type, object: { metadata: { name, resourceVersion } } })}\n`;

test('events are the same however the bytes are cut', async () => {
  const text =
    line('ADDED', 'ä€😀') + line('MODIFIED', 'b', '2') + line('BOOKMARK', '', '3') + line('DELETED', 'b', '4');
  const whole = await read(text);
  assert.deepEqual(
    whole.map(({ type, resourceVersion }) => `${type} ${resourceVersion}`),
    ['ADDED 1', 'MODIFIED 2', 'BOOKMARK 3', 'DELETED 4'],
  );
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 50 }), { minLength: 1 }), async (sizes) => {
      assert.deepEqual(await read(text, sizes), whole);
    }),
  );
});

test('an unfinished last line is dropped, empty lines are nothing', async () => {
  const events = await read(`\n${line('ADDED', 'a')}\r\n{"type":"DELETED"`, [7]);
  assert.equal(events.length, 1);
});

test('an event up to the limit is read, one byte more is refused, before its end has come', async () => {
  const text = line('ADDED', 'a');
  assert.equal((await read(text, [], text.length - 1)).length, 1);
  await assert.rejects(read(text, [], text.length - 2), { code: 'too-large' });
  await assert.rejects(read('x'.repeat(200), [10], 100), { code: 'too-large' });
});

test('an ERROR event carries code and reason', async () => {
  const text = '{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired","message":"too old"}}\n';
  await assert.rejects(read(text), (error) => isExpired(error) && /too old/.test(String(error)));
  await assert.rejects(read('{"type":"ERROR"}\n'), { status: 500 });
});

test('any line that is no event is malformed', async () => {
  for (const text of ['x', '5', 'null', '[]', '{}', '{"type":"OTHER"}', '{"type":5}']) {
    await assert.rejects(read(`${text}\n`), (error) => error instanceof KubeError && error.code === 'malformed', text);
  }
});

test('any bytes at all give events or a KubeError', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string(), async (text) => {
      await read(`${text}\n`).catch((error: unknown) => assert.ok(error instanceof KubeError));
    }),
  );
});
