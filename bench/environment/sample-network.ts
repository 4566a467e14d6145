/** Two nodes on the datapath itself and a client outside, and connections whose packets are caught where they come by. */
import assert from 'node:assert/strict';
import { FrontendFlag } from '@sluice/datapath';
import { type Address, parseAddress } from '@sluice/net';
import { connectNodes, createTestNode, type TestNode, type TestPod } from '../../packages/datapath/test/node.ts';
import { TCP, writeService } from '../../packages/datapath/test/services.ts';
import { type Place, tcpServer, tcpSocket } from '../../packages/datapath/test/sockets.ts';
import { capture } from '../../packages/datapath/test/wire.ts';
import { connectWorld, joinWorld, type World } from '../../packages/datapath/test/world.ts';
import { type Acceleration, accelerate, prepareCable } from '../../packages/datapath/test/xdp.ts';

export type Family = 'ipv4' | 'ipv6';

export interface SampleNetwork extends Disposable {
  /** The one that is measured. */
  readonly node: TestNode;
  readonly other: TestNode;
  readonly world: World;
  readonly pods: { readonly client: TestPod; readonly near: TestPod; readonly far: TestPod };
  readonly xdp: Acceleration;
  readonly ifindexes: Readonly<Record<Tap, number>>;
  /** Another NodePort of all addresses of the node; gives its port. */
  nodePort(
    backend: TestPod,
    family: Family,
    options: { readonly targetPort: number; readonly isDsr?: boolean },
  ): number;
  /** Made past XDP; it stays until the network goes. */
  connection(options: ConnectionOptions): Caught;
}

/** Devices of the node: its pod's, the world's cable, that of the other node. */
export type Tap = 'pod' | 'wan' | 'lan';

export interface ConnectionOptions {
  readonly client: Place;
  readonly server: Place;
  readonly serverAddress: Address;
  readonly serverPort: number;
  /** Whom the client asks; default the server. */
  readonly target?: { readonly address: Address; readonly port: number };
  readonly family: Family;
}

/** Packets with data in the midst of a connection, as they came by. */
export interface Caught {
  request(tap: Tap): Uint8Array;
  answer(tap: Tap): Uint8Array;
}

const texts = { request: 'a request of the benchmark', answer: 'an answer of the benchmark' } as const;
const unspecified = { ipv4: parseAddress('0.0.0.0'), ipv6: parseAddress('::') } as const;
/** None that the load balancer gives to the services around. */
const firstId = 1_000_000;
const firstNodePort = 32_000;

export function sampleNetwork(): SampleNetwork {
  using stack = new DisposableStack();
  const node = stack.use(createTestNode(1));
  const other = stack.use(createTestNode(2));
  connectNodes(node, other);
  const world = stack.use(connectWorld(node));
  joinWorld(world, other);
  for (const each of [node, other]) attachLan(each);
  prepareCable({ place: world, device: 'wan' }, { place: node, device: world.device });
  prepareCable({ place: node, device: 'lan0' }, { place: other, device: 'lan0' });
  const pods = { client: node.addPod(10, 1000), near: node.addPod(11, 1001), far: other.addPod(10, 1002) };
  const xdp = accelerate(node, [world.device, 'lan0']);
  const ifindexes = { pod: pods.client.ifindex, wan: world.ifindex, lan: lanOf(node) };
  const sockets = stack.use(new DisposableStack());
  const owned = stack.move();
  let services = 0;
  return {
    node,
    other,
    world,
    pods,
    xdp,
    ifindexes,
    nodePort(backend, family, { targetPort, isDsr = false }) {
      services += 1;
      const [id, port] = [firstId + services, firstNodePort + services];
      writeService(node.datapath.maps, {
        ...{ id, address: unspecified[family], port, protocol: TCP, generation: services },
        flags: FrontendFlag.External | (isDsr ? FrontendFlag.Dsr : 0),
        backends: [{ id, address: backend.addresses[family], port: targetPort }],
      });
      return port;
    },
    connection(options) {
      xdp.set(false);
      const caught = connect(node, ifindexes, options, sockets);
      xdp.set(true);
      return caught;
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function attachLan(node: TestNode): void {
  const ifindex = lanOf(node);
  node.datapath.maps.devices.update(ifindex, node.addresses);
  node.namespace.run(() => node.datapath.attachNetworkDevice('lan0', ifindex));
}

function lanOf(node: TestNode): number {
  const link = node.netlink.links.get('lan0');
  if (link === undefined) throw new Error('the node has no device lan0');
  return link.ifindex;
}

function connect(
  node: TestNode,
  ifindexes: SampleNetwork['ifindexes'],
  options: ConnectionOptions,
  sockets: DisposableStack,
): Caught {
  const { client, server, serverAddress, serverPort, family } = options;
  const target = options.target ?? { address: serverAddress, port: serverPort };
  using stack = new DisposableStack();
  const tapOn = (tap: Tap) => stack.use(capture(node.namespace, ifindexes[tap]));
  const taps = { pod: tapOn('pod'), wan: tapOn('wan'), lan: tapOn('lan') };
  const listening = sockets.use(tcpServer(server, serverAddress, serverPort));
  const asking = sockets.use(tcpSocket(client, family === 'ipv4' ? 4 : 6));
  asking.connect(target.address, target.port);
  const accepted = sockets.use(listening.accept() ?? assert.fail('no connection has come'));
  asking.send(texts.request);
  assert.equal(accepted.receive(), texts.request);
  accepted.send(texts.answer);
  assert.equal(asking.receive(), texts.answer);
  const frames = { pod: taps.pod.frames(), wan: taps.wan.frames(), lan: taps.lan.frames() };
  const find = (tap: Tap, text: string) =>
    frames[tap].find((frame) => Buffer.from(frame).includes(text)) ?? assert.fail(`no packet has come by ${tap}`);
  return { request: (tap) => find(tap, texts.request), answer: (tap) => find(tap, texts.answer) };
}
