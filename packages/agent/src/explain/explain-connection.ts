import { type DropReason, dropReasonText, type PacketAnswer } from '@sluice/datapath';
import {
  type Address,
  familyOf,
  formatAddressPort,
  formatPacket,
  parseAddress,
  parsePacket,
  parsePrefix,
  prefixContains,
} from '@sluice/net';
import type { ExplainReport, ExplainStep } from '../report.ts';
import { type Client, familiesOf, findClient } from './client.ts';
import { type Destination, findDestination } from './destination.ts';
import { probePacket } from './probe-packet.ts';
import type { Question } from './question.ts';
import { type Refusal, serviceSteps } from './service-steps.ts';
import type { ExplainSources } from './sources.ts';
import { waySteps } from './way-steps.ts';

/** How far it came, and how it ended. */
interface Told {
  readonly steps: readonly ExplainStep[];
  readonly verdict: ExplainReport['verdict'];
  readonly summary: string;
  readonly hint?: string;
}

/** Asks the programs of this node. Throws QueryError for a question that has no answer here. */
export function explainConnection(question: Question, sources: ExplainSources): ExplainReport {
  const client = findClient(question.from, sources);
  const asker = { namespace: client.namespace, families: familiesOf(client) };
  const destination = findDestination(question, asker, sources);
  const told = tell(client, destination, { question, sources });
  return {
    from: client.name,
    to: question.host.includes(':') ? `[${question.host}]:${question.port}` : `${question.host}:${question.port}`,
    protocol: question.protocol,
    verdict: told.verdict,
    summary: told.summary,
    hint: told.hint,
    steps: [client.step, ...nameSteps(destination), ...told.steps],
  };
}

function nameSteps({ resolved, address, port }: Destination): ExplainStep[] {
  return resolved === undefined ? [] : [{ step: 'name', text: resolved, facts: { address, port } }];
}

interface Asked {
  readonly question: Question;
  readonly sources: ExplainSources;
}

function tell(client: Client, destination: Destination, asked: Asked): Told {
  const { address, port } = destination;
  const family = familyOf(address);
  if (!client.isHost && isOwn(client, address)) {
    const text = `${address} is the pod's own: its packets never leave it`;
    return forwarded([{ step: 'route', text, facts: { way: 'self' } }], 'it stays in the pod');
  }
  const source = family === 4 ? client.ipv4 : client.ipv6;
  if (source === undefined) {
    return {
      steps: [],
      verdict: 'dropped',
      summary: `${client.name} has no IPv${family} address: its own kernel refuses (ENETUNREACH)`,
      hint: `is ipv${family}.enabled set, and has the node a pod CIDR of that family? "sluice status" shows both`,
    };
  }
  const service = serviceSteps({ address, port, client, ...asked });
  if (service.refusal) {
    return { steps: service.steps, verdict: 'dropped', ...refusalText(service.refusal, asked.question) };
  }
  const ends = { source, ...service.to };
  const rest =
    client.isHost && !comesByUs(service.to.address, asked.sources) ? hostsOwn() : tellPacket(client, ends, asked);
  return { ...rest, steps: [...service.steps, ...rest.steps] };
}

function refusalText({ reason, errno }: Refusal, { protocol }: Question): Pick<Told, 'summary' | 'hint'> {
  const { text, hint } = dropReasonText[reason];
  return { summary: `${text}: connect() over ${protocol} fails at once with ${errno}, no packet is sent`, hint };
}

/** What a pod's own kernel keeps for itself; connect() to no address at all is one to the loopback. */
function isOwn({ ipv4, ipv6 }: Client, address: Address): boolean {
  const own: readonly (Address | undefined)[] = [ipv4, ipv6, loopback6, unspecified4, unspecified6];
  return own.includes(address) || address.startsWith('127.');
}

const loopback6 = parseAddress('::1');
const unspecified4 = parseAddress('0.0.0.0');
const unspecified6 = parseAddress('::');

/** The host's stack has routes to sluice_host for pods and services only, and keeps what is for itself. */
function comesByUs(address: Address, { nodes }: ExplainSources): boolean {
  const { served, without } = nodes.nodePortAddresses();
  if (served.includes(address) || without.includes(address)) return false;
  if (nodes.nodes.list().some(({ podCidrs }) => podCidrs.some((cidr) => prefixContains(cidr, address)))) return true;
  return [...nodes.ips()].some(({ source, prefix }) => source === 'service CIDR' && contains(prefix, address));
}

function hostsOwn(): Told {
  const text = "by the node's own routes and with its own address: nothing of Sluice's is on this way";
  return forwarded([{ step: 'route', text, facts: { way: 'host' } }], 'it leaves as it would without Sluice');
}

interface Ends {
  readonly source: Address;
  readonly address: Address;
  readonly port: number;
}

function tellPacket(client: Client, { source, address, port }: Ends, { question, sources }: Asked): Told {
  const sourcePort = question.sourcePort ?? sources.anyPort();
  const bytes = probePacket({
    source,
    destination: address,
    sourcePort,
    destinationPort: port,
    protocol: question.protocol,
    sourceMac: client.mac,
    destinationMac: sources.facts.hostMac,
  });
  const answer = sources.dryRun.packet({ program: client.program, ifindex: client.ifindex, bytes });
  const what = question.protocol === 'TCP' ? 'SYN' : 'datagram';
  const sent: ExplainStep = {
    step: 'packet',
    text: `a ${what} from ${formatAddressPort(source, sourcePort)} to ${formatAddressPort(address, port)} comes by ${client.device}`,
    facts: { source, sourcePort, destination: address, destinationPort: port, interface: client.device },
  };
  const notes = foreignNotes(client, sources);
  const told =
    answer.action === 'dropped' || isRefused(answer)
      ? tellDrop(answer)
      : tellWay(answer, client, { question, sources });
  return { ...told, steps: [sent, ...notes, ...told.steps] };
}

/** A drop that is answered is a redirect as well: back to the sender. */
function isRefused({ explanation }: PacketAnswer): boolean {
  return explanation !== undefined && explanation.reason !== 0;
}

function tellDrop({ explanation, action, bytes }: PacketAnswer): Told {
  const reason = explanation?.reason as DropReason | undefined;
  const text = reason === undefined ? undefined : dropReasonText[reason];
  const drop: ExplainStep = {
    step: 'drop',
    text: text?.text ?? 'dropped without a reason: the programs are newer than the agent',
    facts: { reason: text?.text ?? '', line: explanation?.line ?? 0 },
  };
  const isAnswered = action === 'redirected';
  const reply: ExplainStep = isAnswered
    ? { step: 'answer', text: `the sender is told: ${formatPacket(parsePacket(bytes))}`, facts: { answered: true } }
    : { step: 'answer', text: 'the sender hears nothing, and waits', facts: { answered: false } };
  return {
    steps: [drop, reply],
    verdict: 'dropped',
    summary: text?.text ?? 'dropped',
    ...(text && { hint: text.hint }),
  };
}

function tellWay(answer: PacketAnswer, client: Client, { sources }: Asked): Told {
  const { steps, summary } = waySteps(answer, client, sources);
  return forwarded(steps, summary);
}

function forwarded(steps: readonly ExplainStep[], summary: string): Told {
  return { steps, verdict: 'forwarded', summary };
}

/** Theirs are not asked: what they would do with the packet is not known here. */
function foreignNotes({ device }: Client, { foreignPrograms }: ExplainSources): ExplainStep[] {
  return foreignPrograms()
    .filter((program) => program.device === device)
    .map(({ name, id, hook, place }) => ({
      step: 'note' as const,
      text: `program ${name} (id ${id}) of somebody else is at ${hook}, ${place}: it was not asked`,
      facts: { program: name, id, place },
    }));
}

function contains(prefix: string, address: Address): boolean {
  return prefixContains(parsePrefix(prefix), address);
}
