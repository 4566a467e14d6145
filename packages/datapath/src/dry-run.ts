import { BpfMap, encodeValue, loadBtf, type ObjectSpec, openMap, type Program } from '@sluice/bpf';
import type { Address } from '@sluice/net';
import type { Configuration } from './generated/configuration.ts';
import { FrontendScope, ServiceAnswer, SocketResult } from './generated/enums.ts';
import { explanationsMap } from './generated/maps.ts';
import { type Explanation, serviceQuestionCodec, socketQuestionCodec } from './generated/structs.ts';
import { loadPrograms, type Programs, readObject } from './objects.ts';

/** A packet's program, and the object that holds it. */
const objectOf = {
  pod_from_pod: 'pod',
  host_from_host: 'host',
  netdev_to_network: 'netdev',
  netdev_from_network: 'netdev',
} as const;
export type AskedProgram = keyof typeof objectOf;

/** Written by every run: a dry one has its own, so that nothing of it is seen by the programs that forward. */
const privateMaps = ['packets', 'connection_drafts', 'shot_packets', 'explanations'] as const;

export interface SocketCall {
  /** Of the caller's network namespace; that of no pod is a process of the node. */
  readonly netnsCookie: bigint;
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
}

export interface SocketAnswer {
  /** `none`: no service, the call goes on as it is. */
  readonly result: 'none' | 'translated' | 'no backend' | 'not allowed';
  readonly backend: { readonly address: Address; readonly port: number; readonly id: number } | undefined;
  readonly backendCount: number;
  /** 0: the service has none. */
  readonly affinitySeconds: number;
  /** The client is known, and gets what it had before. */
  readonly isByAffinity: boolean;
}

/** Who asks for which place. */
export interface ServiceCall {
  readonly address: Address;
  readonly port: number;
  readonly protocol: number;
  readonly client: Address;
  readonly clientPort: number;
  /** `outside`: by the network, or from another node's pod. */
  readonly kind: 'outside' | 'pod' | 'node';
}

/** The kernel's row for a client of that kind; where there is none he asks no service. */
export interface ServiceRow {
  readonly result: 'backend' | 'no backend' | 'no local backend' | 'not allowed';
  /** Of its key. */
  readonly frontend: Address | undefined;
  readonly scope: 'internal' | 'external';
  readonly serviceId: number;
  readonly generation: number;
  readonly backendCount: number;
  readonly affinitySeconds: number;
  /** FrontendFlag */
  readonly flags: number;
  /** 0: backends are chosen at random. */
  readonly maglevSize: number;
  /** One that the client would get now. */
  readonly backend: { readonly address: Address; readonly port: number; readonly id: number } | undefined;
  /** It is the one that the client had before. */
  readonly isByAffinity: boolean;
}

export interface PacketQuestion {
  readonly program: AskedProgram;
  /** Of the device where the packet comes by, in the calling thread's network namespace. */
  readonly ifindex: number;
  readonly bytes: Uint8Array;
}

export interface PacketAnswer {
  /** `left`: neither, the next program or the stack has it. */
  readonly action: 'redirected' | 'dropped' | 'left';
  /** The packet as it leaves; where it was dropped and answered, the answer. */
  readonly bytes: Uint8Array;
  /** Undefined where a device's program let it pass. */
  readonly explanation: Explanation | undefined;
}

/**
 * The programs, asked: a second instance on the same maps, loaded with `dryRun`, attached to nothing. It counts nothing
 * and changes nothing. An object is loaded when it is first asked, which takes a part of a second.
 */
export interface DryRun extends Disposable {
  /** What connect or sendmsg would be given: the choice of the socket hooks. */
  socketCall(call: SocketCall): SocketAnswer;
  /** By the packets' own functions; undefined: for this client there is no service. */
  service(call: ServiceCall): ServiceRow | undefined;
  packet(question: PacketQuestion): PacketAnswer;
}

export interface DryRunOptions {
  readonly objectsDirectory: string;
  /** The node's maps. */
  readonly maps: ReadonlyMap<string, BpfMap>;
  readonly configuration: Configuration;
  readonly logDirectory: string | undefined;
}

export function openDryRun({ objectsDirectory, maps, configuration, logDirectory }: DryRunOptions): DryRun {
  using stack = new DisposableStack();
  const own = createMaps(readObject(objectsDirectory, 'contract'), stack);
  const explanations = openMap(mapOf(own, 'explanations'), explanationsMap);
  const loaded = new Map<string, Programs>();
  const owned = stack.move();
  const program = (object: string, name: string): Program => {
    const programs =
      loaded.get(object) ??
      owned.use(
        loadPrograms({
          directory: objectsDirectory,
          names: [object],
          maps: new Map([...maps, ...own]),
          configuration: { ...configuration, dryRun: 1 },
          logDirectory,
        }),
      );
    loaded.set(object, programs);
    return programs.get(name);
  };
  return {
    socketCall: (call) => askSocket(program('explain', 'explain_socket'), call),
    service: (call) => askService(program('explain', 'explain_service'), call),
    packet({ program: name, ifindex, bytes }) {
      explanations.update(0, nothing);
      const asked = program(objectOf[name], name);
      const { returnValue, data } = asked.testRun({ data: bytes, context: contextOf(ifindex) });
      const explanation = explanations.lookup(0);
      return {
        action: actions.get(returnValue) ?? 'left',
        bytes: data ?? bytes,
        explanation: explanation?.isTold === 1 ? explanation : undefined,
      };
    },
    [Symbol.dispose]: () => owned.dispose(),
  };
}

function createMaps(contract: ObjectSpec, stack: DisposableStack): Map<string, BpfMap> {
  using btf = loadBtf(contract.loadableBtf, contract.name);
  return new Map(
    privateMaps.map((name) => {
      const spec = contract.maps.find((candidate) => candidate.name === name);
      if (spec === undefined) throw new TypeError(`no map ${name} in ${contract.name}`);
      return [name, stack.use(BpfMap.create(spec, btf.fd))];
    }),
  );
}

function mapOf(maps: ReadonlyMap<string, BpfMap>, name: string): BpfMap {
  const map = maps.get(name);
  if (map === undefined) throw new TypeError(`map ${name} is not open`);
  return map;
}

/** Else as the program left it: TC_ACT_OK, or TC_ACT_UNSPEC for the next program. */
const actions = new Map([
  [7, 'redirected'],
  [2, 'dropped'],
] as const) as ReadonlyMap<number, 'redirected' | 'dropped'>;

const end = { address: undefined, port: 0 };
const nothing: Explanation = {
  tuple: { source: undefined, destination: undefined, sourcePort: 0, destinationPort: 0, protocol: 0 },
  frontend: end,
  nextHop: undefined,
  sourceIdentity: 0,
  destinationIdentity: 0,
  endpointId: 0,
  ifindex: 0,
  reason: 0,
  line: 0,
  mtu: 0,
  backendId: 0,
  isTold: 0,
  way: 0,
  ctStatus: 0,
};

/** struct __sk_buff of 6.6; what a newer kernel has behind it is zero. */
const contextBytes = 192;
const contextIfindexOffset = 40;

function contextOf(ifindex: number): Uint8Array {
  const bytes = new Uint8Array(contextBytes);
  new DataView(bytes.buffer).setUint32(contextIfindexOffset, ifindex, true);
  return bytes;
}

function askSocket(program: Program, { netnsCookie, address, port, protocol }: SocketCall): SocketAnswer {
  const question = encodeValue(socketQuestionCodec, {
    netnsCookie,
    address,
    port,
    protocol,
    client: undefined,
    backend: undefined,
    backendPort: 0,
    result: 0,
    isByAffinity: 0,
    serviceId: 0,
    generation: 0,
    backendCount: 0,
    affinitySeconds: 0,
    backendId: 0,
    unused: 0,
  });
  const answer = socketQuestionCodec.decode(answered(program, question), 0);
  const { backend, backendPort, backendId, backendCount, affinitySeconds } = answer;
  return {
    result: results.get(answer.result) ?? 'none',
    backend: backend && { address: backend, port: backendPort, id: backendId },
    backendCount,
    affinitySeconds,
    isByAffinity: answer.isByAffinity === 1,
  };
}

/** The question is the packet, and so is the answer. */
function answered(program: Program, question: Uint8Array): DataView {
  const { returnValue, data } = program.testRun({ data: question });
  if (returnValue !== 0 || data === undefined)
    throw new TypeError(`the program returned ${returnValue}, and no answer`);
  return new DataView(data.buffer, data.byteOffset, data.byteLength);
}

const results = new Map([
  [SocketResult.Translated, 'translated'],
  [SocketResult.NoBackend, 'no backend'],
  [SocketResult.NotAllowed, 'not allowed'],
] as const) as ReadonlyMap<number, SocketAnswer['result']>;

function askService(program: Program, { kind, ...call }: ServiceCall): ServiceRow | undefined {
  const question = encodeValue(serviceQuestionCodec, {
    ...call,
    isExternal: kind === 'outside' ? 1 : 0,
    isNode: kind === 'node' ? 1 : 0,
    frontend: undefined,
    backend: undefined,
    answer: 0,
    backendPort: 0,
    scope: 0,
    isByAffinity: 0,
    backendId: 0,
    serviceId: 0,
    generation: 0,
    backendCount: 0,
    affinitySeconds: 0,
    flags: 0,
    maglevSize: 0,
  });
  const row = serviceQuestionCodec.decode(answered(program, question), 0);
  const result = serviceResults.get(row.answer);
  if (result === undefined) return undefined;
  const { frontend, serviceId, generation, backendCount, affinitySeconds, flags, maglevSize } = row;
  return {
    ...{ result, frontend, serviceId, generation, backendCount, affinitySeconds, flags, maglevSize },
    scope: row.scope === FrontendScope.External ? 'external' : 'internal',
    backend: row.backend && { address: row.backend, port: row.backendPort, id: row.backendId },
    isByAffinity: row.isByAffinity === 1,
  };
}

const serviceResults = new Map([
  [ServiceAnswer.Backend, 'backend'],
  [ServiceAnswer.NoBackend, 'no backend'],
  [ServiceAnswer.NotAllowed, 'not allowed'],
  [ServiceAnswer.NoLocalBackend, 'no local backend'],
] as const) as ReadonlyMap<number, ServiceRow['result']>;
