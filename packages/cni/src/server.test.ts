import assert from 'node:assert/strict';
import { createConnection } from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseMac } from '@sluice/net';
import { fakeClock, silentLogger } from '@sluice/runtime';
import { temporaryDirectory } from '@sluice/testing';
import { type AddRequest, type CniAnswer, type CniHandler, startCniServer } from './index.ts';
import { encodeMessage } from './message.ts';

const configuration = JSON.stringify({ cniVersion: '1.1.0', name: 'sluice', type: 'sluice-cni' });
const status = encodeMessage([
  ['CNI_COMMAND', 'STATUS'],
  ['configuration', configuration],
]);
const add = encodeMessage([
  ['CNI_COMMAND', 'ADD'],
  ['CNI_CONTAINERID', 'c1'],
  ['CNI_IFNAME', 'eth0'],
  ['CNI_NETNS', '/run/netns/c1'],
  ['configuration', configuration],
]);

function handler(parts: Partial<CniHandler> = {}): CniHandler {
  const unexpected = () => {
    throw new Error('not expected in this test');
  };
  return {
    add: unexpected,
    check: unexpected,
    remove: unexpected,
    status: () => undefined,
    collect: unexpected,
    ...parts,
  };
}

function ask(path: string, bytes: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = createConnection(path, () => socket.write(bytes));
    let answer = '';
    socket.setEncoding('utf8');
    socket.on('data', (chunk: string) => {
      answer += chunk;
    });
    socket.on('end', () => resolve(answer));
    socket.on('error', reject);
  });
}

const mac = parseMac('02:00:00:00:00:01');
const skip = process.getuid?.() !== 0 && 'only root may ask';

test('an exception of the handler is an answer, and the next request is served', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  let calls = 0;
  const failing = handler({
    status() {
      calls += 1;
      if (calls === 1) throw new Error('the disk is on fire');
    },
  });
  const answers: CniAnswer[] = [];
  const onAnswer = (answer: CniAnswer) => void answers.push(answer);
  const server = await startCniServer({ path, handler: failing, log: silentLogger, onAnswer });
  assert.match(await ask(path, status), /"code":5,"msg":"the disk is on fire"/);
  assert.match(await ask(path, status), /kind 6\nresult/);
  await server.close();
  assert.deepEqual(
    answers.map(({ command, code }) => [command, code]),
    [
      ['STATUS', 5],
      ['STATUS', undefined],
    ],
  );
});

test('a program that goes away in the middle of ADD has its addition given up', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  const abandoned = Promise.withResolvers<string>();
  const server = await startCniServer({
    path,
    log: silentLogger,
    handler: handler({ add: (request) => addition(request, abandoned.resolve) }),
  });
  const socket = createConnection(path, () => socket.write(add));
  socket.once('data', () => socket.destroy());
  assert.match(await abandoned.promise, /went away/);
  await server.close();
});

test('a program that is silent in the middle of ADD is given up after the time-out', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  const clock = fakeClock();
  const abandoned = Promise.withResolvers<string>();
  const server = await startCniServer({
    path,
    log: silentLogger,
    clock,
    handler: handler({ add: (request) => addition(request, abandoned.resolve) }),
  });
  const socket = createConnection(path, () => socket.write(add));
  await new Promise((resolve) => socket.once('data', resolve));
  clock.advance(30_000);
  assert.match(await abandoned.promise, /silent for 30000 ms/);
  socket.destroy();
  await server.close();
});

test('a DEL is completed also when the program goes away before it removed the device', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  const completed = Promise.withResolvers<void>();
  const remove = () => ({ hostName: 'slc0123456789', complete: completed.resolve });
  const server = await startCniServer({ path, log: silentLogger, handler: handler({ remove }) });
  const socket = createConnection(path, () => socket.write(add.replace('3\nADD', '3\nDEL')));
  socket.once('data', () => socket.destroy());
  await completed.promise;
  await server.close();
});

test('more requests than may wait are told to try again', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  const server = await startCniServer({
    path,
    log: silentLogger,
    concurrentMax: 1,
    waitingMax: 0,
    handler: handler({ add: (request) => addition(request, () => undefined) }),
  });
  const first = createConnection(path, () => first.write(add));
  await new Promise((resolve) => first.once('data', resolve));
  assert.match(await ask(path, status), /"code":11,"msg":"too many CNI requests/);
  first.destroy();
  await server.close();
});

test('a wrong answer of the program is an error of its own', { skip }, async () => {
  using directory = temporaryDirectory();
  const path = join(directory.path, 'cni.sock');
  const server = await startCniServer({
    path,
    log: silentLogger,
    handler: handler({ add: (request) => addition(request, () => undefined) }),
  });
  const lie = encodeMessage([
    ['kind', 'configured'],
    ['host_ifindex', '-1'],
  ]);
  assert.match(await ask(path, add + lie), /host_ifindex .*not a number above 0/);
  await server.close();
});

function addition(request: AddRequest, abandon: (reason: string) => void): ReturnType<CniHandler['add']> {
  return {
    kind: 'new',
    attachment: { hostName: 'slc', podName: request.ifname, hostMac: mac, podMac: mac, mtu: 1500, routeMtu: 1450 },
    complete: () => ({ interfaces: [], ips: [], routes: [] }),
    abandon,
  };
}
