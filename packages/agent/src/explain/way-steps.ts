import { CtStatus, type Explanation, type PacketAnswer, Way } from '@sluice/datapath';
import { podName } from '@sluice/endpoint';
import { identityName } from '@sluice/model';
import { type Address, formatAddressPort, parseAddress, parsePacket } from '@sluice/net';
import type { ExplainStep } from '../report.ts';
import type { Client } from './client.ts';
import type { ExplainSources } from './sources.ts';

export interface WayAnswer {
  readonly steps: readonly ExplainStep[];
  readonly summary: string;
}

/** What became of a packet that was let through, in words. */
export function waySteps(answer: PacketAnswer, client: Client, sources: ExplainSources): WayAnswer {
  const { explanation } = answer;
  if (explanation === undefined) return { steps: [], summary: "it passes to the host's stack" };
  const before = [sourceStep(client), ...connectionSteps(explanation), ...translationSteps(explanation, sources)];
  const way = wayOf(answer, explanation, { client, sources });
  return { steps: [...before, ...way.steps], summary: way.summary };
}

function sourceStep({ isHost, name }: Client): ExplainStep {
  const text = isHost ? 'sent by the node itself' : `address and MAC are those of ${name}`;
  return { step: 'source', text, facts: { accepted: true } };
}

function connectionSteps({ ctStatus }: Explanation): ExplainStep[] {
  if (ctStatus === CtStatus.New) return [];
  const text = 'it belongs to a connection that is there already: "sluice ct list" shows it';
  return [{ step: 'connection', text, facts: { status: ctStatus } }];
}

/** Of packets whose socket did not: by a client that no hook sees. */
function translationSteps({ frontend, tuple }: Explanation, { nameOf }: ExplainSources): ExplainStep[] {
  if (frontend.address === undefined || tuple.destination === undefined) return [];
  const name = nameOf(tuple.destination);
  const backend = formatAddressPort(tuple.destination, tuple.destinationPort);
  const text = `the packet's destination becomes backend ${backend}${name && ` (${name})`}, and the answers' source ${formatAddressPort(frontend.address, frontend.port)}`;
  return [{ step: 'translation', text, facts: { backend: tuple.destination, backendPort: tuple.destinationPort } }];
}

function wayOf(
  answer: PacketAnswer,
  explanation: Explanation,
  { client, sources }: { readonly client: Client; readonly sources: ExplainSources },
): WayAnswer {
  switch (explanation.way) {
    case Way.Pod:
      return toPod(explanation, sources);
    case Way.Tunnel:
      return throughTunnel(explanation, sources);
    case Way.Device:
      return outOfDevice(answer, explanation, sources);
    default:
      return toHost(explanation, client, sources);
  }
}

function route(text: string, facts: ExplainStep['facts']): ExplainStep {
  return { step: 'route', text, facts };
}

function toPod(explanation: Explanation, { endpoints, interfaceOf }: ExplainSources): WayAnswer {
  const { ifindex, destinationIdentity, tuple, frontend } = explanation;
  const endpoint = endpoints.list().find((row) => row.hostIfindex === ifindex);
  const pod = endpoint ? podName(endpoint) : `endpoint ${explanation.endpointId}`;
  const device = endpoint?.hostName ?? interfaceOf(ifindex);
  const text = `into ${pod} on this node, past its interface ${device}; identity ${identityName(destinationIdentity)}`;
  const step = route(text, { way: 'pod', pod, interface: device, identity: destinationIdentity });
  const isHairpin = frontend.address !== undefined && tuple.source === frontend.address;
  const hairpin: ExplainStep = {
    step: 'masquerade',
    text: `the client is its own backend: it sees the service's address ${tuple.source} as the sender`,
    facts: { source: tuple.source ?? '' },
  };
  return { steps: [...(isHairpin ? [hairpin] : []), step], summary: `it reaches ${pod} on this node` };
}

function throughTunnel(explanation: Explanation, sources: ExplainSources): WayAnswer {
  const { nextHop, sourceIdentity, tuple, ifindex, destinationIdentity } = explanation;
  const node = sources.nodes.nodes.list().find((row) => nextHop !== undefined && row.addresses.includes(nextHop));
  const health = sources.reachability().find(({ name }) => name === node?.name);
  const name = node?.name ?? 'a node without a name';
  const device = sources.interfaceOf(ifindex);
  const text = `through the tunnel ${device} to ${name} (${nextHop ?? ''}), as identity ${identityName(sourceIdentity)} in the VNI; ${stateText(health)}`;
  const facts = { way: 'tunnel', node: name, tunnelEndpoint: nextHop ?? '', identity: sourceIdentity };
  const target = sources.nameOf(tuple.destination) || (tuple.destination ?? '');
  const end = `identity ${identityName(destinationIdentity)}`;
  return {
    steps: [route(text, { ...facts, state: health?.state ?? 'unknown' })],
    summary: `it leaves for ${target === `node ${name}` ? target : `${target} on node ${name}`} (${end}); what happens there, that node tells`,
  };
}

function stateText(health: ReturnType<ExplainSources['reachability']>[number] | undefined): string {
  if (health?.state === 'reachable') return 'the node answers';
  if (health?.state === 'unreachable') return `the node does not answer: ${health.why ?? ''}`;
  return 'whether the node answers is not known yet';
}

function outOfDevice(answer: PacketAnswer, explanation: Explanation, sources: ExplainSources): WayAnswer {
  const { ifindex, nextHop, tuple } = explanation;
  const device = sources.interfaceOf(ifindex);
  const gateway = nextHop === undefined || nextHop === tuple.destination ? 'directly' : `by gateway ${nextHop}`;
  const step = route(`into the world: out of ${device} ${gateway}, past the host's stack`, {
    way: 'device',
    interface: device,
    gateway: nextHop ?? '',
  });
  const out = sources.dryRun.packet({ program: 'netdev_to_network', ifindex, bytes: answer.bytes });
  const { source, port } = sourceOf(out.bytes);
  const notes = sources.foreignPrograms().filter((program) => program.device === device);
  const others = notes.map(({ name, id, hook, place }) => ({
    step: 'note' as const,
    text: `program ${name} (id ${id}) of somebody else is at ${hook}, ${place}: it was not asked`,
    facts: { program: name, id, place },
  }));
  return {
    steps: [step, masqueradeStep(source, port, tuple), ...others],
    summary: `it leaves by ${device}${source === tuple.source ? '' : ` as ${source}`}`,
  };
}

function masqueradeStep(source: Address | undefined, port: number, tuple: Explanation['tuple']): ExplainStep {
  if (source === undefined || source === tuple.source) {
    const text = "it keeps the pod's address: masquerading is off, or the device has no address of the family";
    return { step: 'masquerade', text, facts: { masqueraded: false } };
  }
  const text = `it leaves as ${formatAddressPort(source, port)}, or from another port if that one is taken; answers come back to the pod`;
  return { step: 'masquerade', text, facts: { masqueraded: true, source, sourcePort: port } };
}

function sourceOf(bytes: Uint8Array): { readonly source: Address | undefined; readonly port: number } {
  const { ipv4, ipv6, tcp, udp } = parsePacket(bytes);
  const text = (ipv4 ?? ipv6)?.source;
  return { source: text === undefined ? undefined : parseAddress(text), port: (tcp ?? udp)?.sourcePort ?? 0 };
}

const hostIdentity = 1;

function toHost(
  { destinationIdentity, ifindex, tuple }: Explanation,
  client: Client,
  { nodeName, interfaceOf }: ExplainSources,
): WayAnswer {
  const device = interfaceOf(ifindex);
  const facts = { way: 'host', interface: device };
  if (ifindex === client.ifindex) {
    const text = `${tuple.destination} is a group: it is heard on ${device} by the node itself, and leads no further`;
    return { steps: [route(text, facts)], summary: 'it goes no further than its own link' };
  }
  if (destinationIdentity === hostIdentity) {
    const text = `to ${nodeName} itself, by ${device}: what listens there answers`;
    return { steps: [route(text, facts)], summary: `it reaches the node ${nodeName}` };
  }
  const text = `to the host's stack, by ${device}, which routes it on: its route leads out of no device that Sluice looks after, or host routing is off ("sluice status")`;
  return { steps: [route(text, facts)], summary: "the host's stack has it" };
}
