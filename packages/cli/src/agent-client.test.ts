import assert from 'node:assert/strict';
import { createServer, type ServerResponse } from 'node:http';
import { join } from 'node:path';
import { test } from 'node:test';
import { temporaryDirectory } from '@sluice/testing';
import { agentClient } from './agent-client.ts';
import { anything } from './shape.ts';

/**
 * An agent that answers a stream as told, on a real socket. What must not be taken for silence has a second and more: after
 * as long a pause of this process the time of the client is over before what the server sends.
 */
async function streaming(answer: (response: ServerResponse) => void, silenceMs = 300) {
  const directory = temporaryDirectory();
  const socket = join(directory.path, 'sluice.sock');
  const server = createServer((_, response) => answer(response));
  await new Promise<void>((resolve) => server.listen(socket, resolve));
  return {
    client: agentClient(socket, new AbortController().signal, { silenceMs }),
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
      directory[Symbol.dispose]();
    },
  };
}

test('a question that the agent finds wrong ends as a wrong command does', async () => {
  using server = await streaming((response) => {
    response.statusCode = 400;
    response.end('{"error":"no service shop/wep; did you mean shop/web?"}');
  });
  await assert.rejects(server.client.get('/explain/service', anything), {
    message: 'no service shop/wep; did you mean shop/web?',
    exitCode: 2,
  });
});

test('a stream whose agent stands still from the beginning ends with an error that says so', async () => {
  using server = await streaming(() => undefined);
  await assert.rejects(
    read(server.client.stream('/monitor', anything)),
    /sluice\.sock: silent for 0\.3 s: .*stands still/,
  );
});

test('a stream whose agent comes to stand ends with what came before, and the error', async () => {
  using server = await streaming((response) => void response.write('{"at":1}\n'), 1_500);
  const seen: unknown[] = [];
  await assert.rejects(read(server.client.stream('/monitor', anything), seen), /silent for 1\.5 s/);
  assert.deepEqual(seen, [{ at: 1 }]);
});

test('a stream in which nothing happens goes on for as long as the agent is alive', async () => {
  using server = await streaming((response) => {
    const timer = setInterval(() => response.write('\n'), 50);
    setTimeout(() => response.end('{"at":2}\n'), 2_500);
    response.once('close', () => clearInterval(timer));
  }, 1_500);
  const seen: unknown[] = [];
  await assert.rejects(read(server.client.stream('/monitor', anything), seen), /ended the answer/);
  assert.deepEqual(seen, [{ at: 2 }]);
});

async function read(lines: AsyncIterable<unknown>, seen: unknown[] = []): Promise<void> {
  for await (const line of lines) seen.push(line);
}
