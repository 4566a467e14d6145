// Kubernetes' "invalid conntrack state": netfilter leaves segments that it takes for invalid untranslated, so that the client,
// who knows nobody of that address, resets the server's connection (kubernetes/kubernetes#74839). Ours are translated alike.
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type Address, formatAddressPort, type Mac, packet, parseAddress, parsePacket } from '@sluice/net';
import { type TestPod, TUNNEL_MTU } from '../test/node.ts';
import { TCP, writeService } from '../test/services.ts';
import { type Place, past, tcpServer, tcpSocket } from '../test/sockets.ts';
import { createTwoNodes } from '../test/two-nodes.ts';
import { capture, inject } from '../test/wire.ts';
import { FrontendFlag } from './index.ts';

const TARGET_PORT = 8080;
const families = [
  [4, 'ipv4'],
  [6, 'ipv6'],
] as const;
type Family = (typeof families)[number][1];

const scene = createTwoNodes();
after(() => scene[Symbol.dispose]());
const { node, remote, world, pods } = scene;
for (const pod of Object.values(pods)) pod.setMtu(TUNNEL_MTU);

/** Neither is in the window of a connection that has just begun, however its numbers were drawn: they are half the space apart. */
const strays = [0x1000_0000, 0x9000_0000].flatMap((sequence) =>
  ['A', 'PA', 'SA', 'R', 'RA', 'FA'].map((flags) => ({ sequence, flags })),
);

interface End {
  readonly place: Place;
  /** Of its device there. */
  readonly ifindex: number;
}

interface Serving {
  readonly pod: TestPod;
  /** Its node's, at the pod's device. */
  readonly nodeMac: Mac | undefined;
}

let services = 0;

function serve(address: Address, backend: Address, flags = 0): number {
  services += 1;
  const port = 30_500 + services;
  const backends = [{ id: services, address: backend, port: TARGET_PORT }];
  writeService(node.datapath.maps, { id: services, address, port, protocol: TCP, flags, backends });
  return port;
}

/** From the server's port to the client as the server knows it. */
function stray(family: Family, { pod, nodeMac }: Serving, to: { address: Address; port: number }, index: number) {
  const { sequence = 0, flags = '' } = strays[index] ?? {};
  const ends = { source: pod.addresses[family], destination: to.address };
  const frame = packet().ethernet({ source: pod.mac, ...(nodeMac && { destination: nodeMac }) });
  return (family === 'ipv4' ? frame.ipv4(ends) : frame.ipv6(ends))
    .tcp({ sourcePort: TARGET_PORT, destinationPort: to.port, sequence, acknowledgement: sequence, flags })
    .payload(flags === 'PA' ? `stray ${index}` : '');
}

for (const [version, family] of families) {
  const clusterIp = parseAddress(family === 'ipv4' ? '10.96.7.1' : 'fd00:10:96::71');
  const unspecified = parseAddress(family === 'ipv4' ? '0.0.0.0' : '::');
  const inside = { place: past(pods.client), ifindex: 2 };
  const outside = { place: world as Place, ifindex: world.wanIfindex };
  const near = { pod: pods.server, nodeMac: node.configuration.hostMac };
  const far = { pod: pods.far, nodeMac: remote.configuration.hostMac };
  const ways: readonly (readonly [what: string, End, Serving, row: Address, target: Address])[] = [
    ['a pod asks a ClusterIP of a pod of this node', inside, near, clusterIp, clusterIp],
    ['a pod asks a ClusterIP of a pod of another node', inside, far, clusterIp, clusterIp],
    ['the world asks a NodePort of a pod of this node', outside, near, unspecified, world.nodeAddresses[family]],
    ['the world asks a NodePort of a pod of another node', outside, far, unspecified, world.nodeAddresses[family]],
  ];
  for (const [what, { place, ifindex }, serving, row, target] of ways) {
    test(`${what}: segments out of the window come from the address that was asked, and end nothing (${family})`, () => {
      const { pod } = serving;
      const port = serve(row, pod.addresses[family], FrontendFlag.External);
      using listening = tcpServer(pod, pod.addresses[family], TARGET_PORT);
      using socket = tcpSocket(place, version);
      socket.connect(target, port);
      using accepted = listening.accept();
      const peer = accepted?.peer() ?? '';
      const [, address = '', number] = /^\[?([^\]]*)\]?:(\d+)$/.exec(peer) ?? [];
      using wire = capture(place as typeof world, ifindex);
      for (const index of strays.keys()) {
        const to = { address: parseAddress(address), port: Number(number) };
        inject(pod.namespace, 2, stray(family, serving, to, index));
      }
      const seen = wire.frames().map((frame) => parsePacket(frame));
      const fromServer = seen.filter(({ tcp }) => tcp !== undefined && tcp.destinationPort !== port);
      const sources = fromServer.map(({ ipv4, ipv6, tcp }) => {
        const source = (ipv4 ?? ipv6)?.source;
        return source && formatAddressPort(parseAddress(source), tcp?.sourcePort ?? 0);
      });
      assert.deepEqual([...new Set(sources)], [formatAddressPort(target, port)]);
      for (const { sequence, flags } of strays)
        assert.ok(
          fromServer.some(({ tcp }) => tcp?.sequence === sequence && tcp.flags === flags),
          `${flags} of ${sequence} has not come`,
        );
      socket.send('request');
      assert.equal(accepted?.receive(), 'request');
      accepted?.send('response');
      assert.equal(socket.receive(), 'response');
    });
  }
}
