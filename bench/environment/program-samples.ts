/** What single programs are run on: packets in the midst of connections, on a node full of services and endpoints. */
import { CtFlag, type DatapathMaps } from '@sluice/datapath';
import { type Address, type Mac, macToBytes, parseAddress } from '@sluice/net';
import { localServices } from './local-services.ts';
import { type Caught, type Family, type SampleNetwork, sampleNetwork } from './sample-network.ts';

export interface ProgramSample {
  readonly name: string;
  readonly program: string;
  readonly hook: 'tc' | 'xdp';
  /** Where the packet comes by. */
  readonly ifindex: number;
  readonly bytes: Uint8Array;
  /** What the program must return, each time. */
  readonly action: number;
}

export interface ProgramSamples extends Disposable {
  readonly network: SampleNetwork;
  readonly samples: readonly ProgramSample[];
  /** A connection of DSR tells the backend's node once a second, which is TC's: as if it had just been told. */
  tell(): void;
}

export interface Around {
  readonly services: number;
  readonly backendsPerService: number;
  /** Pods of another node, with both families. */
  readonly endpoints: number;
}

const tcAction = { next: 0xffff_ffff, redirect: 7 } as const;
const xdpAction = { pass: 2, redirect: 4 } as const;

export async function programSamples(around: Around): Promise<ProgramSamples> {
  using stack = new DisposableStack();
  const network = stack.use(sampleNetwork());
  const { maps } = network.node.datapath;
  {
    await using services = localServices('random', maps);
    await services.fill(around.services, around.backendsPerService);
  }
  fillEndpoints(maps, around.endpoints, Object.values(network.pods.far.addresses));
  const samples = (['ipv4', 'ipv6'] as const).flatMap((family, index) =>
    samplesOf(network, family, 8_100 + 100 * index),
  );
  const owned = stack.move();
  return { network, samples, tell: () => tellAll(maps), [Symbol.dispose]: () => owned.dispose() };
}

/** As published by the other node, which has one of them indeed. */
function fillEndpoints(maps: DatapathMaps, count: number, real: readonly Address[]): void {
  const tunnelEndpoint = parseAddress('10.10.30.2');
  const row = (index: number) => ({ tunnelEndpoint, identity: 10_000 + index, flags: 0, mtu: 0 });
  const ipv4 = (index: number) => parseAddress(`10.245.${index >> 8}.${index & 0xff}`);
  const ipv6 = (index: number) => parseAddress(`fd00:10:245::${index.toString(16)}`);
  const numbers = Array.from({ length: count }, (_, index) => index);
  const made = numbers.flatMap((index) => [ipv4, ipv6].map((of) => [of(index), row(index)] as const));
  maps.ipcache.updateBatch([...made, ...real.map((address) => [address, row(count)] as const)]);
}

function samplesOf(network: SampleNetwork, family: Family, firstPort: number): ProgramSample[] {
  const { world, ifindexes } = network;
  const { pod, wan, lan } = ifindexes;
  const name = (what: string) => `${what}, ${family === 'ipv4' ? 'IPv4' : 'IPv6'}`;
  const { far, near, out, snat, dsr, local } = connections(network, family, firstPort);
  const tc = (what: string, program: string, at: number, bytes: Uint8Array, action: number = tcAction.redirect) =>
    ({ name: name(what), program, hook: 'tc', ifindex: at, bytes, action }) as const;
  const xdp = (what: string, at: number, bytes: Uint8Array, action: number = xdpAction.redirect) =>
    ({ name: name(what), program: 'xdp_from_network', hook: 'xdp', ifindex: at, bytes, action }) as const;
  const leaving = withMacs(out.request('pod'), { to: world.mac, from: world.nodeMac });
  return [
    tc('pod to a pod of another node', 'pod_from_pod', pod, far.request('pod')),
    tc('pod to a pod of this node', 'pod_from_pod', pod, near.request('pod')),
    tc('pod to the world', 'pod_from_pod', pod, out.request('pod')),
    tc('the same out of the device, masqueraded', 'netdev_to_network', wan, leaving, tcAction.next),
    tc('its answer to the pod', 'netdev_from_network', wan, out.answer('wan')),
    tc('NodePort to a pod of this node', 'netdev_from_network', wan, local.request('wan')),
    tc('NodePort to another node, SNAT', 'netdev_from_network', wan, snat.request('wan')),
    xdp('NodePort to another node, SNAT', wan, snat.request('wan')),
    xdp('its answer', lan, snat.answer('lan')),
    xdp('NodePort to another node, DSR', wan, dsr.request('wan')),
    xdp('no connection yet', wan, withPort(snat.request('wan'), { family, at: 0, port: 7 }), xdpAction.pass),
    xdp('no service', wan, withPort(snat.request('wan'), { family, at: 2, port: 22 }), xdpAction.pass),
  ];
}

function connections(network: SampleNetwork, family: Family, firstPort: number) {
  const { world, pods } = network;
  const { client, near, far } = pods;
  let ports = firstPort;
  const from = (place: typeof client | typeof world, server: typeof client | typeof world): Caught => {
    ports += 1;
    const serverAddress = server.addresses[family];
    return network.connection({ client: place, server, serverAddress, serverPort: ports, family });
  };
  const byNodePort = (server: typeof client, isDsr = false): Caught => {
    ports += 1;
    const port = network.nodePort(server, family, { targetPort: ports, isDsr });
    const target = { address: world.nodeAddresses[family], port };
    const serverAddress = server.addresses[family];
    return network.connection({ client: world, server, serverAddress, serverPort: ports, target, family });
  };
  return {
    far: from(client, far),
    near: from(client, near),
    out: from(client, world),
    snat: byNodePort(far),
    dsr: byNodePort(far, true),
    local: byNodePort(near),
  };
}

function withMacs(frame: Uint8Array, { to, from }: { readonly to: Mac; readonly from: Mac }): Uint8Array {
  const changed = Uint8Array.from(frame);
  changed.set(macToBytes(to), 0);
  changed.set(macToBytes(from), 6);
  return changed;
}

const transportOffset = { ipv4: 34, ipv6: 54 } as const;

/** `at` of the transport header; its checksum is not made right, which no program asks for. */
function withPort(
  frame: Uint8Array,
  { family, at, port }: { readonly family: Family; readonly at: number; readonly port: number },
): Uint8Array {
  const changed = Uint8Array.from(frame);
  new DataView(changed.buffer).setUint16(transportOffset[family] + at, port);
  return changed;
}

/** See ct_told_now in bpf/lib/conntrack.h. */
function tellAll({ conntrack }: DatapathMaps): void {
  const told = Number((process.hrtime.bigint() >> 30n) & 0xffff_ffffn);
  for (const [tuple, connection] of [...conntrack.entries()])
    if (connection.flags & CtFlag.OneWay) conntrack.update(tuple, { ...connection, told });
}
