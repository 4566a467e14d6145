import assert from 'node:assert/strict';
import { type IncomingMessage, request } from 'node:http';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fakeClock, recordingLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { startLocalApi } from './local-api.ts';
import { QueryError } from './query.ts';

interface Reply {
  readonly status: number | undefined;
  readonly body: string;
}

async function start(t: TestContext) {
  const directory = temporaryDirectory();
  const path = join(directory.path, 'sluice.sock');
  const log = recordingLogger();
  const clock = fakeClock();
  const api = await startLocalApi({
    path,
    log,
    clock,
    answers: {
      version: () => ({ version: '1' }),
      broken: () => {
        throw new Error('of ours');
      },
      nothing: () => undefined,
      wrong: () => {
        throw new QueryError('port 0: a number from 1 to 65535');
      },
      rows: async function* () {
        // As much as no socket holds: it must wait for its reader.
        for (let row = 0; row < 20_000; row++) yield { row, text: 'x'.repeat(100) };
      },
      torn: async function* () {
        for (let row = 0; row < 1_000; row++) yield { row, text: 'x'.repeat(100) };
        throw new Error('in the middle');
      },
    },
    streams: {
      refused: () => {
        throw new QueryError('type trace: drop');
      },
      monitor: (_, send) => {
        send({ bytes: 2n ** 60n, packets: 3n });
        return { [Symbol.dispose]: () => undefined };
      },
      quiet: () => ({ [Symbol.dispose]: () => undefined }),
    },
  });
  t.after(async () => {
    await api.close();
    directory[Symbol.dispose]();
  });
  const ask = (what: string, method = 'GET') =>
    new Promise<Reply>((resolve, reject) => {
      const asked = request({ socketPath: path, path: what, method }, (response) => {
        response.setEncoding('utf8');
        response.once('data', (body: string) => {
          resolve({ status: response.statusCode, body });
          response.destroy();
        });
      });
      asked.once('error', reject);
      asked.end();
    });
  const read = async (what: string) => {
    const response = await new Promise<IncomingMessage>((resolve, reject) => {
      request({ socketPath: path, path: what }, resolve).once('error', reject).end();
    });
    response.setEncoding('utf8');
    const chunks = response[Symbol.asyncIterator]();
    return {
      next: async () => (await chunks.next()).value as string,
      leave: async () => {
        response.destroy();
        await new Promise((resolve) => response.once('close', resolve));
      },
    };
  };
  return { ask, read, log, clock };
}

test('a path has its answer, and one that is none is refused with what there is', async (t) => {
  const { ask } = await start(t);
  assert.deepEqual(await ask('/version'), { status: 200, body: '{"version":"1"}\n' });
  for (const [path, status] of [
    ['/', 404],
    ['/toString', 404],
    ['/__proto__', 404],
    ['//', 400],
    ['//[', 400],
  ] as const) {
    const reply = await ask(path);
    assert.equal(reply.status, status, path);
    assert.match(reply.body, /there are \/version, \/broken/, path);
  }
  assert.equal((await ask('/nothing')).status, 404);
  assert.equal((await ask('/version', 'POST')).status, 405);
});

test('a question that is wrong is told so, and is no fault of ours', async (t) => {
  const { ask, log } = await start(t);
  assert.deepEqual(await ask('/wrong'), { status: 400, body: '{"error":"port 0: a number from 1 to 65535"}\n' });
  assert.deepEqual(await ask('/refused'), { status: 400, body: '{"error":"type trace: drop"}\n' });
  assert.deepEqual(
    log.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

test('when all places are taken the next client is told so, and has its answer when one has left', async (t) => {
  const { ask, read } = await start(t);
  const readers = await Promise.all(Array.from({ length: 64 }, () => read('/monitor')));
  const refused = await ask('/version');
  assert.equal(refused.status, 503);
  assert.match(refused.body, /64 clients ask already/);
  await readers[0]?.leave();
  while ((await ask('/version')).status !== 200) await new Promise((resolve) => setImmediate(resolve));
  for (const reader of readers.slice(1)) await reader.leave();
});

test('rows come a line each, all of them, as fast as they are read', async (t) => {
  const { read } = await start(t);
  const reader = await read('/rows');
  let text = '';
  for (let chunk = await reader.next(); chunk !== undefined; chunk = await reader.next()) text += chunk;
  const lines = text.trimEnd().split('\n');
  assert.deepEqual([lines.length, JSON.parse(lines.at(-1) ?? '')], [20_000, { row: 19_999, text: 'x'.repeat(100) }]);
});

test('an answer that breaks in its middle is cut off, not ended', async (t) => {
  const { read, log } = await start(t);
  await assert.rejects(async () => {
    const reader = await read('/torn');
    while ((await reader.next()) !== undefined);
  }, /hang up|aborted/);
  assert.equal(log.lines.filter(({ level }) => level === 'error').length, 1);
});

test('an answer that fails is an error of its own, is logged, and the next one comes', async (t) => {
  const { ask, log } = await start(t);
  assert.deepEqual(await ask('/broken'), { status: 500, body: '{"error":"of ours"}\n' });
  assert.equal(log.lines.filter(({ level }) => level === 'error').length, 1);
  assert.equal((await ask('/version')).status, 200);
});

test('a number is a number where that is exact, otherwise a text', async (t) => {
  const { ask } = await start(t);
  assert.equal((await ask('/monitor')).body, '{"bytes":"1152921504606846976","packets":3}\n');
});

test('a stream in which nothing happens says an empty line now and then, until its reader leaves', async (t) => {
  const { read, clock } = await start(t);
  const reader = await read('/quiet');
  clock.advance(2_000);
  assert.equal(await reader.next(), '\n');
  clock.advance(2_000);
  assert.equal(await reader.next(), '\n');
  await reader.leave();
  while (clock.pendingTimers > 0) await new Promise((resolve) => setImmediate(resolve));
});
