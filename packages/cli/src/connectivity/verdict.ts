/** Holds what a command printed against what the case expects; the reason is what a person needs to go on. */
import type { Expectation } from './case.ts';

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Undefined when all is as expected; otherwise what came, with what is wrong about it. */
export function failureOf(expected: Expectation, outcome: Outcome): string | undefined {
  switch (expected.outcome) {
    case 'answered':
      return answeredFailure(expected, outcome);
    case 'refused':
      return /refused/i.test(lastAttempt(outcome)) ? undefined : saidOf(outcome);
    case 'echoed':
      return echoedFailure(expected, outcome);
    case 'time-exceeded':
      return timeExceededFailure(expected, outcome);
    case 'too-big':
      return tooBigFailure(expected, outcome);
    case 'one-host':
    case 'every-host':
      return hostsFailure(expected, outcome);
    case 'resolved':
      return resolvedFailure(expected.records, outcome);
    case 'no-such-name':
      return /no such name/.test(outcome.stderr) ? undefined : saidOf(outcome);
    case 'silence':
      return /^heard 0 /m.test(outcome.stdout) ? undefined : saidOf(outcome);
    case 'sent':
      return outcome.exitCode === 0 ? undefined : saidOf(outcome);
    default:
      return expected satisfies never;
  }
}

/** For people: what should have come. */
export function wantedText(expected: Expectation): string {
  switch (expected.outcome) {
    case 'answered':
      return `${expected.isEvery ? 'each attempt answered' : 'an answer'}${answererText(expected)}`;
    case 'refused':
      return 'a refusal: a reset, or an ICMP error';
    case 'echoed':
      return `an echo reply from ${expected.from}`;
    case 'time-exceeded':
      return `ICMP "time exceeded" from a router, not from ${expected.notFrom}`;
    case 'too-big':
      return `ICMP "too big" with the route's MTU${expected.mayArrive ? ', or a reply' : ''}`;
    case 'one-host':
      return `all answers from one and the same of ${expected.of.join(', ')}`;
    case 'every-host':
      return `answers from each of ${expected.of.join(', ')}`;
    case 'resolved':
      return expected.records.join(', ');
    case 'no-such-name':
      return '"no such name" (NXDOMAIN)';
    case 'silence':
      return 'nothing';
    case 'sent':
      return 'packets sent';
    default:
      return expected satisfies never;
  }
}

type Answered = Extract<Expectation, { readonly outcome: 'answered' }>;

function answererText({ by, seen, peer }: Answered): string {
  return [
    ...(by === undefined ? [] : [` by ${by}`]),
    ...(peer === undefined ? [] : [` from ${peer}`]),
    ...(seen === undefined ? [] : [`, which saw ${seen.join(' or ')}`]),
  ].join('');
}

function answeredFailure(expected: Answered, outcome: Outcome): string | undefined {
  const line = lastAttempt(outcome);
  if (!line.startsWith('ok ') || (expected.isEvery && outcome.exitCode !== 0)) return saidOf(outcome);
  const seen = addressOf(field(line, 'peer'));
  const talksTo = field(line, 'from');
  if (expected.by !== undefined && !line.includes(` ${expected.by} `)) return `an answer by somebody else: ${line}`;
  if (expected.seen !== undefined && !expected.seen.includes(seen))
    return `the server saw ${seen || 'nobody'}: ${line}`;
  if (expected.peer !== undefined && talksTo !== expected.peer)
    return `the client talks to ${talksTo ?? 'nobody'} by what its socket says: ${line}`;
  return expected.isInFullSegments ? segmentsFailure(line) : undefined;
}

const TCP_HEADER_BYTES = 20;
/** With timestamps, which Linux always asks for. */
const TCP_OPTIONS_BYTES = 12;

function segmentsFailure(line: string): string | undefined {
  const mtu = Number(field(line, 'mtu'));
  const networkBytes = (field(line, 'local') ?? '').startsWith('[') ? 40 : 20;
  const full = mtu - networkBytes - TCP_HEADER_BYTES - TCP_OPTIONS_BYTES;
  const mss = Number(field(line, 'mss'));
  return mss === full ? undefined : `segments of ${mss} bytes where a route of MTU ${mtu} carries ${full}: ${line}`;
}

type Echoed = Extract<Expectation, { readonly outcome: 'echoed' }>;

function echoedFailure({ from, isFull }: Echoed, outcome: Outcome): string | undefined {
  const line = lastAttempt(outcome);
  if (!line.startsWith('ok ') || field(line, 'from') !== from) return saidOf(outcome);
  const length = field(line, 'length');
  return isFull && length !== routeMtu(outcome) ? `a packet of ${length} bytes, not of the MTU: ${line}` : undefined;
}

type TimeExceeded = Extract<Expectation, { readonly outcome: 'time-exceeded' }>;

function timeExceededFailure({ notFrom }: TimeExceeded, outcome: Outcome): string | undefined {
  const line = lastAttempt(outcome);
  const isRight = field(line, 'type') === 'time-exceeded' && field(line, 'from') !== notFrom;
  return isRight ? undefined : saidOf(outcome);
}

type TooBig = Extract<Expectation, { readonly outcome: 'too-big' }>;

function tooBigFailure({ mayArrive }: TooBig, outcome: Outcome): string | undefined {
  const line = lastAttempt(outcome);
  if (mayArrive && line.startsWith('ok ')) return undefined;
  const isRight = field(line, 'type') === 'too-big' && field(line, 'mtu') === routeMtu(outcome);
  return isRight ? undefined : saidOf(outcome);
}

const routeMtu = ({ stdout }: Outcome): string | undefined => /^route mtu=(\d+)$/m.exec(stdout)?.[1];

type Hosts = Extract<Expectation, { readonly outcome: 'one-host' | 'every-host' }>;

function hostsFailure({ outcome: kind, of }: Hosts, outcome: Outcome): string | undefined {
  if (outcome.exitCode !== 0) return saidOf(outcome);
  const hosts = hostsOf(outcome);
  const isKnown = hosts.every((host) => of.includes(`host=${host}`));
  const isRight = isKnown && (kind === 'one-host' ? hosts.length === 1 : hosts.length === of.length);
  return isRight ? undefined : `answers from ${hosts.join(' and ') || 'nobody'}`;
}

/** Who answered, by the client's last line. */
export function hostsOf({ stdout }: Outcome): string[] {
  const [, hosts = ''] = /^sent=.* hosts:(.*)$/m.exec(stdout) ?? [];
  return [...hosts.matchAll(/(\S+)=\d+/g)].map(([, host = '']) => host).sort();
}

function resolvedFailure(records: readonly string[], outcome: Outcome): string | undefined {
  const lines = outcome.stdout.split('\n').filter((line) => line !== '');
  const isWhole = lines.length === records.length && records.every((record) => lines.some(isRecord(record)));
  return isWhole ? undefined : saidOf(outcome);
}

/** `*` stands for any word: what the name server may choose. */
function isRecord(record: string): (line: string) => boolean {
  const wanted = record.split(' ');
  return (line) => {
    const words = line.split(' ');
    return (
      words.length === wanted.length && words.every((word, index) => wanted[index] === '*' || wanted[index] === word)
    );
  };
}

function lastAttempt({ stdout }: Outcome): string {
  return stdout.split('\n').findLast((text) => /^(ok|failed|icmp) /.test(text)) ?? '';
}

/** The line of the last attempt and what was complained of, or whatever else there is. */
function saidOf(outcome: Outcome): string {
  const complaints = outcome.stderr.trim().replaceAll(/\s+/g, ' ');
  const line = lastAttempt(outcome) || outcome.stdout.trim().replaceAll(/\s+/g, ' ');
  const text = [line, complaints].filter((part) => part !== '').join('; ');
  return text === '' ? `the command ended with status ${outcome.exitCode} and said nothing` : text.slice(0, 400);
}

function field(line: string, name: string): string | undefined {
  return new RegExp(`(?:^| )${name}=(\\S+)`).exec(line)?.[1];
}

/** The address of `address:port` or `[address]:port`, IPv4 as itself; empty where there is none. */
function addressOf(hostPort: string | undefined): string {
  const match = /^\[(.*)\]:\d+$/.exec(hostPort ?? '') ?? /^(.*):\d+$/.exec(hostPort ?? '');
  return (match?.[1] ?? '').replace(/^::ffff:/, '');
}
