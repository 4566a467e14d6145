// Two nodes and the world, the first node accelerated, and connections whose packets are to be repeated.
import assert from 'node:assert/strict';
import { type Packet, parseAddress, parsePacket } from '@sluice/net';
import { FrontendFlag, IpcacheFlag } from '../src/index.ts';
import { connectNodes, createTestNode, type TestNode } from './node.ts';
import { TCP, writeService } from './services.ts';
import { tcpServer, tcpSocket, udpServer, udpSocket } from './sockets.ts';
import { capture } from './wire.ts';
import { connectWorld, type World } from './world.ts';
import { type Acceleration, accelerate, prepareCable } from './xdp.ts';

export type Family = 'ipv4' | 'ipv6';
const TARGET_PORT = 8080;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;

/** A connection that is there; disposing ends it. */
export interface Sample extends Disposable {
  /** As the world sends it. */
  readonly request: Packet;
  /** As the other node sends it, in its tunnel. */
  readonly answer: Packet;
}

export interface AcceleratedPair extends Disposable {
  readonly one: TestNode;
  readonly other: TestNode;
  readonly world: World;
  readonly xdp: Acceleration;
  /** The other node's end of the cable between the two. */
  readonly otherIfindex: number;
  /** Nodes reach each other by these addresses from now on. */
  tunnelOver(family: Family): void;
  /** From the world to a pod of the other node, past XDP, which is off after it. */
  connection(family: Family, protocol: number): Sample;
}

export function createAcceleratedPair(): AcceleratedPair {
  using stack = new DisposableStack();
  const one = stack.use(createTestNode(1));
  const other = stack.use(createTestNode(2));
  connectNodes(one, other);
  const world = stack.use(connectWorld(one));
  const there = other.addPod(10, 1001);
  prepareCable({ place: world, device: 'wan' }, { place: one, device: world.device });
  prepareCable({ place: one, device: 'lan0' }, { place: other, device: 'lan0' });
  const xdp = accelerate(one, [world.device, 'lan0']);
  xdp.lookAtNextHops(false);
  const otherIfindex = other.netlink.links.get('lan0')?.ifindex ?? 0;
  let services = 0;
  const owned = stack.move();
  return {
    one,
    other,
    world,
    xdp,
    otherIfindex,
    tunnelOver(family) {
      lead(one, { to: other, family });
      lead(other, { to: one, family });
    },
    connection(family, protocol) {
      const version = family === 'ipv4' ? 4 : 6;
      services += 1;
      const port = 30_000 + services;
      writeService(one.datapath.maps, {
        ...{ id: services, address: unspecified[family], port, protocol, flags: FrontendFlag.External },
        generation: services,
        backends: [{ id: services, address: there.addresses[family], port: TARGET_PORT }],
      });
      xdp.set(false);
      using stack = new DisposableStack();
      using wire = capture(one.namespace, world.ifindex);
      using tunnel = capture(other.namespace, otherIfindex);
      const isTcp = protocol === TCP;
      const client = stack.use((isTcp ? tcpSocket : udpSocket)(world, version));
      const server = stack.use((isTcp ? tcpServer : udpServer)(there, there.addresses[family], TARGET_PORT));
      client.connect(world.nodeAddresses[family], port);
      const accepted = isTcp ? server.accept() : undefined;
      if (accepted) stack.use(accepted);
      client.send('ask');
      if (accepted) {
        assert.equal(accepted.receive(), 'ask');
        accepted.send('answer');
      } else server.receiveFrom()?.reply('answer');
      assert.equal(client.receive(), 'answer');
      const request = wire.frames().find((frame) => textOf(frame).includes('ask'));
      const answer = tunnel.frames().find((frame) => textOf(frame).includes('answer'));
      assert.ok(request && answer);
      const sockets = stack.move();
      return {
        request: parsePacket(request),
        answer: parsePacket(answer),
        [Symbol.dispose]: () => sockets.dispose(),
      };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function lead(node: TestNode, { to, family }: { readonly to: TestNode; readonly family: Family }): void {
  const { ipcache, ipcachePrefix } = node.datapath.maps;
  const entry = { tunnelEndpoint: to.addresses[family], identity: 6, flags: 0, mtu: 0 };
  for (const [key, row] of [...ipcachePrefix.entries()]) {
    if (row.tunnelEndpoint !== undefined) ipcachePrefix.update(key, { ...entry, identity: 2 });
  }
  for (const address of [...Object.values(to.addresses), ...Object.values(to.router)])
    ipcache.update(address, { ...entry, flags: IpcacheFlag.Node });
}

/** To look for a payload in a frame. */
export function textOf(frame: Uint8Array): string {
  return Buffer.from(frame).toString('latin1');
}
