import { DropReason, type SocketAnswer } from '@sluice/datapath';
import { objectKey } from '@sluice/kube';
import { anyAddress, type FrontendRow } from '@sluice/loadbalancer';
import { type Address, familyOf, formatAddressPort } from '@sluice/net';
import type { ExplainStep } from '../report.ts';
import type { Client } from './client.ts';
import { numberOf, type Question } from './question.ts';
import type { ExplainSources } from './sources.ts';

export interface ServiceQuestion {
  readonly address: Address;
  readonly port: number;
  readonly client: Client;
  readonly question: Question;
  readonly sources: ExplainSources;
}

export interface ServiceAnswer {
  readonly steps: readonly ExplainStep[];
  /** Where packets are sent to. */
  readonly to: { readonly address: Address; readonly port: number };
  /** Why the call fails and no packet is sent. */
  readonly refusal: Refusal | undefined;
}

export interface Refusal {
  readonly reason: DropReason;
  readonly errno: string;
}

/** Which service is asked, and what the socket hooks make of the call. */
export function serviceSteps(asked: ServiceQuestion): ServiceAnswer {
  const { address, port, question, sources } = asked;
  const service = serviceStep(asked);
  const unchanged = { steps: service, to: { address, port }, refusal: undefined };
  if (sources.frontends === undefined || question.isPastHooks) return unchanged;
  const call = { netnsCookie: asked.client.netnsCookie, address, port, protocol: numberOf(question.protocol) };
  const answer = sources.dryRun.socketCall(call);
  if (answer.result === 'none') return unchanged;
  const steps = [...service, socketStep(answer, asked)];
  return { steps, to: answer.backend ?? { address, port }, refusal: refusalOf(answer, asked) };
}

function refusalOf({ result }: SocketAnswer, { client, question }: ServiceQuestion): Refusal | undefined {
  if (result === 'no backend' && question.protocol === 'TCP')
    return { reason: DropReason.NoBackend, errno: 'ECONNREFUSED' };
  if (result === 'not allowed' && client.isHost) return { reason: DropReason.ClientNotAllowed, errno: 'EPERM' };
  return undefined;
}

function serviceStep(asked: ServiceQuestion): ExplainStep[] {
  const { address, port, question, sources } = asked;
  const row =
    sources.frontends?.get(`${formatAddressPort(address, port)}/${question.protocol}`) ??
    nodePort(asked) ??
    refused(asked);
  if (row === undefined) return othersNodePort(asked) ?? ownerStep(asked) ?? sharedStep(asked) ?? [];
  const object = sources.services.get(row.service);
  const affinity = object?.affinityTimeoutSeconds;
  const states = [...new Set(row.backends.map(({ state }) => state))].filter((state) => state !== 'active');
  const backends = [
    `${backendsText(row, sources)}${states.length > 0 ? `, some ${states.join(' and ')}` : ''}`,
    affinity === undefined ? 'no affinity' : `a client keeps its backend for ${affinity} s`,
  ];
  const text = [
    `${row.type} of service ${nameOf(row)}`,
    ...(row.state === 'off' ? [] : backends),
    ...(row.reason === undefined ? [] : [`${row.state}: ${row.reason}`]),
  ];
  const facts = { service: row.service, type: row.type, port: row.portName, backends: row.backends.length };
  return [{ step: 'service', text: text.join('; '), facts: { ...facts, state: row.state } }];
}

/** On whatever address of this node it is asked. */
function nodePort(asked: ServiceQuestion): FrontendRow | undefined {
  return asked.sources.nodes.nodePortAddresses().served.includes(asked.address) ? nodePortRow(asked) : undefined;
}

function nodePortRow({ address, port, question, sources }: ServiceQuestion): FrontendRow | undefined {
  const any = formatAddressPort(anyAddress(familyOf(address)), port);
  return sources.frontends?.get(`${any}/${question.protocol}`);
}

/** Another node's is asked by a packet, which that one translates. */
function othersNodePort(asked: ServiceQuestion): ExplainStep[] | undefined {
  const row = nodePortRow(asked);
  const node = asked.sources.nodes.nodes
    .list()
    .find(({ local, addresses }) => !local && addresses.includes(asked.address));
  if (row === undefined || node === undefined) return undefined;
  const isEverywhere = asked.sources.nodes.nodePortAddresses().without.length === 0;
  const where = isEverywhere ? '' : ', if nodePort.addresses has the address';
  const text = `NodePort of service ${nameOf(row)}, asked at another node: ${node.name} chooses the backend${where}`;
  return [
    { step: 'service', text, facts: { service: row.service, type: row.type, port: row.portName, node: node.name } },
  ];
}

function nameOf({ service, portName }: FrontendRow): string {
  return `${service}${portName === '' ? '' : `:${portName}`}`;
}

/** A service asks for the place in vain, as the address is another's or of another family; nothing serves it there. */
function refused({ address, port, question, sources }: ServiceQuestion): FrontendRow | undefined {
  const place = `${formatAddressPort(address, port)}/${question.protocol}`;
  return sources.frontends
    ?.list()
    .find(({ key, state }) => state === 'off' && (key === place || key.startsWith(`${place} of `)));
}

function backendsText({ backends, service, policy, unused }: FrontendRow, { endpointSlices }: ExplainSources): string {
  const count = backends.length;
  if (count > 0) return count === 1 ? '1 backend' : `${count} backends`;
  if (policy === 'Local' && unused !== undefined) return `no backend on this node, and the policy is Local (${unused})`;
  const own = endpointSlices.list().filter((slice) => `${slice.namespace}/${slice.serviceName}` === service);
  const unready = new Set(
    own.flatMap(({ endpoints }) => endpoints.map(({ pod, addresses }) => pod?.name ?? addresses[0])),
  );
  if (unready.size === 0) return 'no backend, as no pod has the labels that it selects';
  return `no backend, as none is ready (${[...unready].slice(0, 3).join(', ')}${unready.size > 3 ? ', …' : ''})`;
}

/** The address of a service, asked for a port that it does not have. */
function ownerStep({ address, port, question, sources }: ServiceQuestion): ExplainStep[] | undefined {
  const owner = sources.services.list().find(({ clusterIps }) => clusterIps.includes(address));
  if (owner === undefined) return undefined;
  const service = objectKey(owner);
  const has = owner.ports.map((each) => `${each.port}/${each.protocol}`).join(', ');
  const why = sources.frontends
    ? `has no port ${port}/${question.protocol}, only ${has}`
    : 'is served by another load balancer';
  return [{ step: 'service', text: `${address} is service ${service}, which ${why}`, facts: { service } }];
}

/** A balancer's or an external address, which several services may have; where it is a node's, the port is the node's own. */
function sharedStep({ address, port, question, sources }: ServiceQuestion): ExplainStep[] | undefined {
  if (sources.nodes.nodes.list().some(({ addresses }) => addresses.includes(address))) return undefined;
  const prefix = formatAddressPort(address, 0).slice(0, -1);
  const rows = sources.frontends
    ?.list()
    .filter(
      ({ key, id, type }) => id !== 0 && (type === 'LoadBalancer' || type === 'ExternalIP') && key.startsWith(prefix),
    );
  if (!rows?.length) return undefined;
  const services = [...new Set(rows.map(({ service }) => service))];
  const whose =
    services.length === 1 ? `service ${services[0]}, which has` : `services ${services.join(', ')}, which have`;
  const has = new Set(rows.map(({ key }) => key.match(/(\d+\/[A-Z]+)/)?.[1]));
  const text = `${address} is of ${whose} no port ${port}/${question.protocol} there, only ${[...has].join(', ')}`;
  return [{ step: 'service', text, facts: { services: services.join(' ') } }];
}

function socketStep(answer: SocketAnswer, { client, question, sources }: ServiceQuestion): ExplainStep {
  const call = question.protocol === 'TCP' ? 'connect()' : 'connect() or sendmsg()';
  const { backend } = answer;
  if (answer.result === 'not allowed') {
    const what = client.isHost ? 'is refused' : 'goes on as it is, and its packets are dropped on their way';
    const text = `${call} is of nobody in loadBalancerSourceRanges and ${what}`;
    return { step: 'socket', text, facts: { result: answer.result } };
  }
  if (backend === undefined) {
    const what = question.protocol === 'TCP' ? 'is refused' : 'goes on, for a datagram is answered on its way';
    return { step: 'socket', text: `${call} finds no backend and ${what}`, facts: { result: answer.result } };
  }
  const name = sources.nameOf(backend.address);
  return {
    step: 'socket',
    text: `${call} is given ${formatAddressPort(backend.address, backend.port)}${name && ` (${name})`}, ${choiceText(answer)}`,
    facts: {
      result: answer.result,
      backend: backend.address,
      backendPort: backend.port,
      pod: name,
      backends: answer.backendCount,
      byAffinity: answer.isByAffinity,
    },
  };
}

function choiceText({ backendCount, isByAffinity, affinitySeconds }: SocketAnswer): string {
  if (isByAffinity) return 'which this client had before (affinity)';
  if (backendCount === 1) return 'the only backend';
  const random = `one of ${backendCount} at random: the next call may get another`;
  return affinitySeconds > 0 ? `one of ${backendCount} at random, to which this client then keeps` : random;
}
