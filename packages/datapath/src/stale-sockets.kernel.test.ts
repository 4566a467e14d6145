// Needs root and a kernel that Sluice runs on. Sockets whose backend is gone, in a pod's network namespace and the node's.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Address, parseAddress } from '@sluice/net';
import { createTestNode, netnsCookie, type TestNode, type TestPod } from '../test/node.ts';
import { TCP, UDP, writeService } from '../test/services.ts';
import { tcpServer, tcpSocket, udpServer, udpSocket } from '../test/sockets.ts';
import type { StaleSocket } from './index.ts';

const services = { ipv4: parseAddress('10.96.0.20'), ipv6: parseAddress('fd00:10:96::20') } as const;
const families = [
  ['ipv4', 4],
  ['ipv6', 6],
] as const;
const TARGET_PORT = 8080;

interface Scene extends Disposable {
  readonly node: TestNode;
  readonly client: TestPod;
  readonly server: TestPod;
}

function scene(): Scene {
  const node = createTestNode(1);
  const [client, server] = [node.addPod(10, 1000), node.addPod(11, 1001)];
  return { node, client, server, [Symbol.dispose]: () => node[Symbol.dispose]() };
}

function serve({ node, server }: Scene, protocol: number, family: 'ipv4' | 'ipv6'): Address {
  const address = services[family];
  const backends = [{ id: protocol, address: server.addresses[family], port: TARGET_PORT }];
  writeService(node.datapath.maps, { id: protocol, address, port: 80, protocol, backends });
  return address;
}

/** All that services have led anywhere, as if their backends were gone. */
function ledSockets(node: TestNode): (StaleSocket & { readonly netnsCookie: bigint; readonly protocol: number })[] {
  const translations = node.datapath.inspection().translations();
  return translations.map(({ socketCookie, netnsCookie, protocol, translation: { backend, backendPort } }) => {
    assert.ok(backend);
    return { cookie: socketCookie, netnsCookie, protocol, backend: { address: backend, port: backendPort } };
  });
}

const aborted = /ECONNABORTED/;

for (const [family, number] of families) {
  test(`a connected UDP socket of a pod is ended in its namespace, and is found by its cookies (${family})`, () => {
    using it = scene();
    const service = serve(it, UDP, family);
    using server = udpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = udpSocket(it.client, number);
    using bystander = udpSocket(it.client, number);
    client.connect(service, 80);
    bystander.connect(it.server.addresses[family], TARGET_PORT);
    const led = ledSockets(it.node);
    assert.deepEqual(
      led.map(({ netnsCookie: cookie, protocol }) => [cookie, protocol]),
      [[netnsCookie({ run: it.client.namespace.run }), UDP]],
    );
    const stale = it.node.datapath.staleSockets();
    assert.deepEqual(
      it.node.namespace.run(() => stale.end(led)),
      [],
      'it is not in the namespace of the node',
    );
    assert.deepEqual(
      stale.end(led, it.client.namespace.path),
      led.map(({ cookie }) => cookie),
    );
    assert.throws(() => client.receiveNow(), aborted);
    bystander.send('question');
    assert.equal(server.receiveFrom()?.text, 'question');
    assert.deepEqual([...it.node.datapath.maps.staleSockets.entries()], []);
  });

  test(`a TCP connection of the node's own process is ended (${family})`, () => {
    using it = scene();
    const service = serve(it, TCP, family);
    using server = tcpServer(it.server, it.server.addresses[family], TARGET_PORT);
    using client = tcpSocket(it.node, number);
    client.connect(service, 80);
    using accepted = server.accept();
    const led = ledSockets(it.node);
    const stale = it.node.datapath.staleSockets();
    assert.equal(it.node.namespace.run(() => stale.end(led)).length, 1);
    assert.throws(() => client.receive(), aborted);
    assert.throws(() => accepted?.receive(), /ECONNRESET/);
  });

  test(`a socket that has another peer by now, or none, is left alone (${family})`, () => {
    using it = scene();
    const service = serve(it, UDP, family);
    using client = udpSocket(it.client, number);
    using unconnected = udpSocket(it.client, number);
    using server = udpServer(it.server, it.server.addresses[family], TARGET_PORT);
    client.connect(service, 80);
    unconnected.sendTo('question', service, 80);
    assert.equal(server.receiveFrom()?.text, 'question');
    const led = ledSockets(it.node);
    assert.equal(led.length, 2);
    client.connect(it.client.addresses[family], 9);
    assert.deepEqual(it.node.datapath.staleSockets().end(led, it.client.namespace.path), []);
    unconnected.sendTo('again', service, 80);
    assert.equal(server.receiveFrom()?.text, 'again');
  });
}
