import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, familyOf } from '@sluice/net';
import { connectNodes, createTestNode, dropsOf } from '../test/node.ts';
import { type Place, tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';

const PORT = 8080;

/** TCP and UDP there and back; the server sees the client's own address. */
function assertReaches(from: Place & { readonly source: Address }, to: Place, address: Address): void {
  using server = tcpServer(to, address, PORT);
  using client = tcpSocket(from, familyOf(address));
  client.connect(address, PORT);
  using accepted = server.accept();
  assert.ok(accepted);
  client.send('question');
  assert.equal(accepted.receive(), 'question');
  accepted.send('answer');
  assert.equal(client.receive(), 'answer');

  using datagrams = udpServer(to, address, PORT);
  using sender = udpSocket(from, familyOf(address));
  sender.sendTo('ping', address, PORT);
  const received = datagrams.receiveFrom();
  assert.equal(received?.text, 'ping');
  assert.ok(received?.from.includes(from.source), `${received?.from} is ${from.source}`);
  received?.reply('pong');
  assert.equal(sender.receive(), 'pong');
}

for (const family of ['ipv4', 'ipv6'] as const) {
  test(`pods of one node reach each other over ${family}`, () => {
    using node = createTestNode(1);
    const [one, other] = [node.addPod(10, 1000), node.addPod(11, 1001)];
    assertReaches({ ...one, source: one.addresses[family] }, other, other.addresses[family]);
    assert.deepEqual(dropsOf(node), {});
  });

  test(`pods of two nodes reach each other over ${family}`, () => {
    using one = createTestNode(1);
    using other = createTestNode(2);
    connectNodes(one, other);
    const [client, server] = [one.addPod(10, 1000), other.addPod(10, 2000)];
    assertReaches({ ...client, source: client.addresses[family] }, server, server.addresses[family]);
    assert.deepEqual([dropsOf(one), dropsOf(other)], [{}, {}]);
  });

  test(`a node and its pods reach each other over ${family}`, () => {
    using node = createTestNode(1);
    const pod = node.addPod(10, 1000);
    assertReaches({ ...node, source: node.router[family] }, pod, pod.addresses[family]);
    assertReaches({ ...pod, source: pod.addresses[family] }, node, node.router[family]);
    assert.deepEqual(dropsOf(node), {});
  });

  test(`a node and the pods of another reach each other over ${family}`, () => {
    using one = createTestNode(1);
    using other = createTestNode(2);
    connectNodes(one, other);
    const pod = other.addPod(10, 2000);
    assertReaches({ ...one, source: one.router[family] }, pod, pod.addresses[family]);
    assertReaches({ ...pod, source: pod.addresses[family] }, one, one.addresses[family]);
    assert.deepEqual([dropsOf(one), dropsOf(other)], [{}, {}]);
  });
}
