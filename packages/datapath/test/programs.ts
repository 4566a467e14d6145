// Programs for test runs: loaded on maps of the test's own, attached to nothing, run on built packets.
import { type BpfMap, openRingBuffer, type Program, parseObject } from '@sluice/bpf';
import { type Address, type Packet, parseAddress, parseMac, parsePacket } from '@sluice/net';
import { installationRoot } from '@sluice/runtime';
import { temporaryBpffs } from '@sluice/testing';
import type { PacketDrop } from '../src/drop-event.ts';
import { decodeEvent } from '../src/events.ts';
import { type Configuration, EndpointFlag, IpcacheFlag } from '../src/index.ts';
import { type DatapathMaps, openMaps, openPinnedMaps } from '../src/maps.ts';
import { hookObjects, loadOne, loadPrograms, type Programs, readObject } from '../src/objects.ts';
import { pathsOn } from '../src/paths.ts';
import type { ConnectionTrace } from '../src/trace-event.ts';

/** Test runs have the loopback device: packets come in by ifindex 1, so the pod lives there. */
export const IFINDEX = 1;

export const pod = {
  ipv4: parseAddress('10.244.1.10'),
  ipv6: parseAddress('fd00:10:244:1::10'),
  mac: parseMac('02:00:00:00:00:10'),
  identity: 1000,
} as const;
export const neighbour = {
  ipv4: parseAddress('10.244.1.11'),
  ipv6: parseAddress('fd00:10:244:1::11'),
  mac: parseMac('02:00:00:00:00:11'),
  identity: 1001,
} as const;
export const remotePod = { ipv4: parseAddress('10.244.2.10'), ipv6: parseAddress('fd00:10:244:2::10') } as const;
export const gateway = {
  ipv4: parseAddress('10.244.1.1'),
  ipv6: parseAddress('fd00:10:244:1::1'),
  mac: parseMac('02:00:00:00:00:01'),
} as const;

export const configuration: Configuration = {
  bindProtection: 1,
  hostNetnsCookie: 0n,
  dryRun: 0,
  hostRouting: 1,
  masqueradeIpv4: 1,
  masqueradeIpv6: 1,
  gatewayIpv4: gateway.ipv4,
  gatewayIpv6: gateway.ipv6,
  hostIfindex: IFINDEX,
  hostMac: gateway.mac,
  ipv4Enabled: 1,
  ipv6Enabled: 1,
  nodePortMin: 30_000,
  nodePortMax: 32_767,
  maglevSeedIpv4: 0x71dc_da46,
  maglevSeedIpv6: 0x9250_5688,
  tunnelPort: 8472,
  nodeIdentity: 6,
  underlayIpv4: parseAddress('10.10.30.1'),
  underlayIpv6: parseAddress('fd00:10:10:30::1'),
  overlayIfindex: IFINDEX,
};

export interface Bench extends Disposable {
  readonly maps: DatapathMaps;
  /** Runs a program, ours by its name, on one packet. */
  run(program: string | Program, packet: Uint8Array): Outcome;
  program(name: string): Program;
  /** Of an object that a test has compiled, on the same maps. */
  programOf(object: Uint8Array, name: string): Program;
  /** Reads the events that are there, and forgets them. */
  drain(): void;
}

export interface Outcome {
  readonly action: 'ok' | 'drop' | 'redirect' | number;
  /** The packet as the program left it. */
  readonly packet: Packet;
  readonly bytes: Uint8Array;
  readonly drops: readonly PacketDrop[];
  readonly traces: readonly ConnectionTrace[];
}

const actions = new Map([
  [0, 'ok'],
  [2, 'drop'],
  [7, 'redirect'],
] as const);

export function createBench(chosen: Configuration = configuration): Bench {
  using stack = new DisposableStack();
  const paths = pathsOn(stack.use(temporaryBpffs()).path);
  const directory = `${installationRoot()}/bpf/build`;
  const { maps: pinned } = openPinnedMaps(readObject(directory, 'contract'), paths, stack);
  const maps = openMaps(pinned);
  const loaded = new Map<string, Programs>();
  // To verify all objects takes half a second: an object is loaded when a test first asks for a program of it.
  const program = (name: string): Program => {
    const object = hookObjects.find((candidate) => name.startsWith(`${candidate}_`)) ?? name;
    let programs = loaded.get(object);
    if (programs === undefined) {
      programs = loads.use(loadPrograms({ directory, names: [object], maps: pinned, configuration: chosen }));
      loaded.set(object, programs);
    }
    return programs.get(name);
  };
  const loads = stack.use(new DisposableStack());
  const drops: PacketDrop[] = [];
  const traces: ConnectionTrace[] = [];
  const ring = stack.use(
    openRingBuffer(ringOf(pinned), (record) => {
      const event = decodeEvent(record);
      if (event.type === 'drop') drops.push(event);
      if (event.type === 'trace') traces.push(event);
    }),
  );
  writeRows(maps);
  const owned = stack.move();
  return {
    maps,
    program,
    programOf(object, name) {
      const own = { directory, names: [], maps: pinned, configuration: chosen };
      const loaded = loads.use(loadOne(parseObject(object, name), own)).programs.get(name);
      if (loaded === undefined) throw new TypeError(`the object has no program ${name}`);
      return loaded;
    },
    drain() {
      ring.drain();
      drops.length = 0;
      traces.length = 0;
    },
    run(chosen, packet) {
      const { returnValue, data } = (typeof chosen === 'string' ? program(chosen) : chosen).testRun({ data: packet });
      ring.drain();
      const bytes = data ?? new Uint8Array();
      const action = actions.get(returnValue as 0) ?? returnValue;
      return { action, bytes, packet: parsePacket(bytes), drops: drops.splice(0), traces: traces.splice(0) };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function ringOf(maps: ReadonlyMap<string, BpfMap>): BpfMap {
  const ring = maps.get('events');
  if (ring === undefined) throw new Error('no map events');
  return ring;
}

function writeRows(maps: DatapathMaps): void {
  for (const [id, { ipv4, ipv6, mac, identity }, ifindex] of [
    [1, pod, IFINDEX],
    [2, neighbour, IFINDEX + 1],
  ] as const) {
    const row = { id, ifindex, identity, flags: 0, mac, nodeMac: gateway.mac };
    for (const address of [ipv4, ipv6]) maps.endpoints.update(address, row);
  }
  const host = { id: 0, ifindex: 0, identity: 1, flags: EndpointFlag.Host, mac: gateway.mac, nodeMac: gateway.mac };
  for (const address of [gateway.ipv4, gateway.ipv6]) maps.endpoints.update(address, host);
  // The node's own pod CIDR: 10.244.1.0/24, in bits of the mapped address.
  const ownPods = { prefixLength: 96 + 24, address: parseAddress('10.244.1.0') };
  maps.ipcachePrefix.update(ownPods, { tunnelEndpoint: undefined, identity: 3, flags: IpcacheFlag.Unroutable, mtu: 0 });
  writeRemote(maps, remotePod.ipv4, 2000);
  writeRemote(maps, remotePod.ipv6, 2000);
}

export function writeRemote(maps: DatapathMaps, address: Address, identity: number): void {
  maps.ipcache.update(address, { tunnelEndpoint: parseAddress('10.10.30.2'), identity, flags: 0, mtu: 0 });
}
