/** Many questions at once: what is asked from one place goes there in one script, as each way in costs a process of ours. */
import assert from 'node:assert/strict';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestLab } from '../test-lab.ts';
import type { ClientKind, Family, Protocol } from './upstream-case.ts';

export interface Question {
  /** What it is called when it fails. */
  readonly what: string;
  readonly client: ClientKind;
  readonly protocol: Protocol;
  readonly family: Family;
  readonly address: string;
  readonly port: number;
  /** Attempts; default 1. */
  readonly count?: number;
  /** More options of `client`. */
  readonly options?: readonly string[];
  /** Whose pod asks, where a pod does; default `near`. */
  readonly pod?: string;
  /** Who asks, where a node does; default `k8s-cp1`. */
  readonly node?: string;
}

export interface Answer {
  readonly question: Question;
  readonly text: string;
  readonly outcome: 'answered' | 'refused' | 'silence' | 'mixed';
  /** Who answered, each once. */
  readonly hosts: readonly string[];
  readonly served: readonly Served[];
}

export interface Served {
  readonly host: string;
  readonly node: string;
  /** The client, as the server saw it. */
  readonly seen: string;
}

const PATIENCE_MS = 20_000;
/** What `ownstack --for` calls its target. */
const alias: Readonly<Record<Family, string>> = { 4: '198.18.0.1', 6: '2001:2::1' };
/** Processes that ask at once in one place. */
const atOnce = 16;
/** Network stacks of their own, which share their pod's wire. */
const stacksAtOnce = 4;

function commandOf({ client, protocol, family, address, port, count = 1, options = [] }: Question): string {
  const words = (target: string) =>
    ['client', protocol, target, port, '--count', count, '--timeout', '700', ...options].join(' ');
  return client === 'packet' ? `lab-pod ownstack --for ${address} -- ${words(alias[family])}` : words(address);
}

function scriptOf(questions: readonly (readonly [index: number, question: Question])[]): string {
  const lines = questions.map(
    ([index, question]) => `(o=$(${commandOf(question)} 2>&1); printf '@%s\\n%s\\n' ${index} "$o")`,
  );
  const width = questions[0]?.[1].client === 'packet' ? stacksAtOnce : atOnce;
  return lines
    .map((line, index) => `${line} &${index % width === width - 1 ? '\nwait' : ''}`)
    .join('\n')
    .concat('\nwait');
}

function placeOf({ client, pod = 'near', node = 'k8s-cp1' }: Question): string {
  if (client === 'outside') return 'client';
  if (client === 'node') return node;
  // A stack of its own shares the pod's ports with its processes: it has a pod of its own.
  return client === 'packet' ? `${pod}-packets` : pod;
}

export async function ask(lab: TestLab, questions: readonly Question[]): Promise<Answer[]> {
  const indexed = questions.map((question, index) => [index, question] as const);
  const groups = Map.groupBy(indexed, ([, question]) => placeOf(question));
  const texts = new Map<number, string>();
  await Promise.all(
    [...groups.values()].map(async (group) => {
      const place = placeOf(questionOf(group[0]));
      const said = await lab.must('exec', place, '--', 'sh', '-c', scriptOf(group));
      for (const [, index, text = ''] of said.matchAll(/^@(\d+)\n([^@]*)/gm)) texts.set(Number(index), text);
    }),
  );
  return questions.map((question, index) => answerOf(question, texts.get(index) ?? 'nothing was said'));
}

function questionOf(entry: readonly [number, Question] | undefined): Question {
  assert.ok(entry, 'a group has a member');
  return entry[1];
}

function answerOf(question: Question, text: string): Answer {
  const found = text.matchAll(/ answer: (?:\d+ )?host=(\S+) node=(\S+) peer=(\S+):\d+ /g);
  const served = [...found].map(([, host = '', node = '', seen = '']): Served => ({ host, node, seen: bare(seen) }));
  const [, sent, answered, failed] = /^sent=(\d+) answered=(\d+) failed=(\d+)/m.exec(text) ?? [];
  const isRefused = text.match(/Connection refused/g)?.length === Number(sent);
  const isSilent = text.match(/timed out|timeout/gi)?.length === Number(sent);
  const outcome =
    Number(answered) > 0 && failed === '0' ? 'answered' : isRefused ? 'refused' : isSilent ? 'silence' : 'mixed';
  return { question, text, outcome, served, hosts: [...new Set(served.map(({ host }) => host))].sort() };
}

const bare = (address: string) => address.replace(/^\[|\]$/g, '');

/** Asks until every answer is as it should be: what the API says takes a moment to come to the nodes. `wrong` says what is not. */
export async function askUntil(
  lab: TestLab,
  questions: readonly Question[],
  wrong: (answer: Answer) => string | false | undefined,
): Promise<Answer[]> {
  const deadline = performance.now() + PATIENCE_MS;
  const answers = new Map<Question, Answer>();
  for (let left = questions; ; await delay(200)) {
    for (const answer of await ask(lab, left)) answers.set(answer.question, answer);
    const complaints = [...answers.values()].flatMap((answer) => {
      const complaint = wrong(answer);
      return complaint ? [{ ...answer, complaint }] : [];
    });
    if (complaints.length === 0) return [...answers.values()];
    const texts = complaints.map(({ question, complaint, text }) => `${question.what}: ${complaint}\n${text}`);
    if (performance.now() > deadline)
      assert.fail(`${texts.length} of ${questions.length} are wrong:\n${texts.slice(0, 5).join('\n')}`);
    left = complaints.map(({ question }) => question);
  }
}

/** For `askUntil`: everybody gets that. */
export function mustBe(outcome: Answer['outcome']): (answer: Answer) => string | false {
  return (answer) => answer.outcome !== outcome && `${answer.outcome}, not ${outcome}`;
}

/** For `askUntil`: answered, and by these alone. */
export function mustBeServedBy(...hosts: readonly string[]): (answer: Answer) => string | false {
  return (answer) =>
    answer.outcome !== 'answered'
      ? `${answer.outcome}, not answered`
      : answer.hosts.some((host) => !hosts.includes(host)) && `by ${answer.hosts.join()}, not ${hosts.join()}`;
}
