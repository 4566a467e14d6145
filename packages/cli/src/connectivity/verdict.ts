/** Holds what the client printed against what the case expects; the reason is what a person needs to go on. */
import type { Expectation } from './cases.ts';

export interface Outcome {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Undefined when all is as expected. */
export function failureOf(expected: Expectation, outcome: Outcome): string | undefined {
  const line = outcome.stdout.split('\n').find((text) => /^(ok|failed) /.test(text)) ?? '';
  if (expected.outcome === 'refused') return refusedFailure(line, outcome);
  if (!line.startsWith('ok ')) return line === '' ? said(outcome) : line;
  const seen = field(line, 'peer');
  const talksTo = field(line, 'from');
  if (!line.includes(` ${expected.by} `)) return `not answered by ${expected.by}: ${line}`;
  if (expected.seen !== undefined && addressOf(seen) !== expected.seen)
    return `the server saw ${seen ?? 'nothing'}, not ${expected.seen}`;
  if (expected.peer !== undefined && talksTo !== expected.peer) {
    return `the client talks to ${talksTo ?? 'nobody'} by what its socket says, not to ${expected.peer}`;
  }
  return undefined;
}

function refusedFailure(line: string, outcome: Outcome): string | undefined {
  if (/refused/i.test(line)) return undefined;
  return `expected to be refused, but: ${line === '' ? said(outcome) : line}`;
}

function said(outcome: Outcome): string {
  const text = `${outcome.stdout} ${outcome.stderr}`.replaceAll(/\s+/g, ' ').trim();
  return `the client ended with status ${outcome.exitCode}${text === '' ? ' and said nothing' : `: ${text.slice(0, 300)}`}`;
}

function field(line: string, name: string): string | undefined {
  return new RegExp(`(?:^| )${name}=(\\S+)`).exec(line)?.[1];
}

function addressOf(hostPort: string | undefined): string | undefined {
  if (hostPort === undefined) return undefined;
  const match = /^\[(.*)\]:\d+$/.exec(hostPort) ?? /^(.*):\d+$/.exec(hostPort);
  return match?.[1]?.replace(/^::ffff:/, '');
}
