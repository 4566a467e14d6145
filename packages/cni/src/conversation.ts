import type { Address } from '@sluice/net';
import { CniCode, CniError } from './error.ts';
import type { Addition, Attachment, Check, CniHandler, InspectedPod, PodFacts, Removal } from './handler.ts';
import type { Field, Message } from './message.ts';
import { type CniRequest, type JsonObject, parseRequest, versionOf } from './request.ts';
import { type CniResult, formatResult } from './result.ts';
import { type CniVersion, newestVersion } from './version.ts';

/** What the conversation speaks to: the program at the other end of the socket. */
export interface Peer {
  send(fields: readonly Field[]): void;
  /** Rejects when the program went away or takes too long. */
  receive(): Promise<Message>;
}

export interface Outcome {
  readonly command: string;
  readonly subject: string;
  readonly error?: CniError;
}

/** One request from first to last message. Never throws: every failure is an answer. */
export async function converse(peer: Peer, handler: CniHandler): Promise<Outcome> {
  let version: CniVersion = newestVersion;
  let command = 'unknown';
  let subject = '';
  try {
    const message = await peer.receive();
    command = message.get('CNI_COMMAND') ?? command;
    version = versionOf(message, version);
    const request = parseRequest(message);
    subject = subjectOf(request);
    const body = await answer(request, peer, handler);
    peer.send([['kind', 'result'], ...(body === undefined ? [] : [['body', `${body}\n`] as const])]);
    return { command, subject };
  } catch (thrown) {
    const error = CniError.from(thrown);
    peer.send([
      ['kind', 'error'],
      ['body', `${error.format(version)}\n`],
    ]);
    return { command, subject, error };
  }
}

async function answer(request: CniRequest, peer: Peer, handler: CniHandler): Promise<string | undefined> {
  switch (request.command) {
    case 'ADD': {
      const addition = await handler.add(request);
      const result = addition.kind === 'new' ? await configure(addition, peer) : await inspect(addition, peer);
      return formatResult(result, request.cniVersion, request.previousResult);
    }
    case 'CHECK':
      await inspect(handler.check(request), peer);
      return undefined;
    case 'DEL':
      await remove(handler.remove(request), peer);
      return undefined;
    case 'STATUS':
      handler.status();
      return undefined;
    case 'GC':
      handler.collect(request);
      return undefined;
    default:
      return request satisfies never;
  }
}

async function configure(addition: Addition, peer: Peer): Promise<CniResult> {
  let facts: PodFacts;
  try {
    peer.send(attachmentFields(addition.attachment));
    facts = parseFacts(expect(await peer.receive(), 'configured'));
  } catch (thrown) {
    addition.abandon(CniError.from(thrown).message);
    throw thrown;
  }
  return addition.complete(facts);
}

async function remove(removal: Removal, peer: Peer): Promise<void> {
  try {
    if (removal.hostName === undefined) return;
    peer.send([
      ['kind', 'remove'],
      ['host_name', removal.hostName],
    ]);
    expect(await peer.receive(), 'removed');
  } finally {
    removal.complete();
  }
}

async function inspect(check: Check, peer: Peer): Promise<CniResult> {
  peer.send([
    ['kind', 'inspect'],
    ['pod_name', check.podName],
  ]);
  return check.verify(parseInspection(expect(await peer.receive(), 'inspected')));
}

function attachmentFields(attachment: Attachment): Field[] {
  const { ipv4, ipv6 } = attachment;
  return [
    ['kind', 'configure'],
    ['host_name', attachment.hostName],
    ['host_mac', attachment.hostMac],
    ['pod_name', attachment.podName],
    ['pod_mac', attachment.podMac],
    ['mtu', String(attachment.mtu)],
    ['route_mtu', String(attachment.routeMtu)],
    ...(ipv4 ? addressFields('ipv4', ipv4) : []),
    ...(ipv6 ? addressFields('ipv6', ipv6) : []),
  ];
}

function addressFields(family: 'ipv4' | 'ipv6', { address, gateway }: { address: Address; gateway: Address }): Field[] {
  return [
    [`address_${family}`, address],
    [`gateway_${family}`, gateway],
  ];
}

function expect(message: Message, kind: string): Message {
  const given = message.get('kind');
  if (given === kind) return message;
  if (given === 'failed') {
    throw new CniError(Number(message.get('code')) || CniCode.Io, message.get('message') ?? 'sluice-cni failed');
  }
  throw new CniError(CniCode.Decode, `sluice-cni answered ${JSON.stringify(given)} where ${kind} was due`);
}

function parseFacts(message: Message): PodFacts {
  return {
    hostIfindex: Number(parseNumber(message, 'host_ifindex')),
    podIfindex: Number(parseNumber(message, 'pod_ifindex')),
    netnsCookie: parseNumber(message, 'netns_cookie'),
    netnsInode: parseNumber(message, 'netns_inode'),
  };
}

function parseNumber(message: Message, key: string): bigint {
  const text = message.get(key) ?? '';
  if (/^[1-9]\d{0,19}$/.test(text)) return BigInt(text);
  throw new CniError(CniCode.Decode, `sluice-cni answered ${key} ${JSON.stringify(text)}, not a number above 0`);
}

function parseInspection(message: Message): InspectedPod {
  const [ifindex, mac, state] = message.get('device')?.split(' ') ?? [];
  return {
    device: ifindex && mac ? { ifindex: Number(ifindex), mac, up: state === 'up' } : undefined,
    addresses: message.all('address'),
    gateways: message.all('gateway'),
  };
}

function subjectOf(request: CniRequest): string {
  const pod = 'pod' in request && request.pod ? ` (${request.pod.namespace}/${request.pod.name})` : '';
  return 'containerId' in request ? `${request.containerId}/${request.ifname}${pod}` : '';
}

export type { JsonObject };
