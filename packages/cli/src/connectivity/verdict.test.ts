import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Expectation } from './case.ts';
import { failureOf, wantedText } from './verdict.ts';

const answered = {
  outcome: 'answered',
  by: 'host=web',
  seen: ['10.244.0.5'],
  peer: '10.96.0.50:80',
} as const satisfies Expectation;
const refused = { outcome: 'refused' } as const;
const outcome = (stdout: string, exitCode = 0, stderr = '') => ({ exitCode, stdout, stderr });
const line = (changes: { host?: string; peer?: string; from?: string } = {}): string =>
  `ok 1 ms=0.31 local=10.244.0.5:40000 peername=10.96.0.50:80 from=${changes.from ?? '10.96.0.50:80'} ` +
  `answer: host=${changes.host ?? 'web'} node=n1 peer=${changes.peer ?? '10.244.0.5:40000'} local=10.244.1.7:8080 data=1\n`;
const timedOut = 'failed 1 after 2000 ms: connect: Connection timed out\n';

test('an answer by the right pod that saw the right client passes', () => {
  assert.equal(failureOf(answered, outcome(line())), undefined);
});

test('an answer by another pod fails and names who answered', () => {
  assert.match(failureOf(answered, outcome(line({ host: 'other' }))) ?? '', /somebody else: .*host=other/);
});

test('a server that saw another source address fails; one of several allowed ones does not', () => {
  const other = outcome(line({ peer: '10.10.30.101:40000' }));
  assert.match(failureOf(answered, other) ?? '', /saw 10\.10\.30\.101: /);
  assert.equal(failureOf({ ...answered, seen: ['10.244.0.5', '10.10.30.101'] }, other), undefined);
  const ipv6 = outcome(line({ peer: '[2001:db8::5]:40000' }));
  assert.equal(failureOf({ ...answered, seen: ['2001:db8::5'] }, ipv6), undefined);
});

test('a client that sees the backend instead of the service fails', () => {
  assert.match(failureOf(answered, outcome(line({ from: '10.244.1.7:8080' }))) ?? '', /talks to 10\.244\.1\.7:8080/);
});

test('no answer fails with what the client said, and with what was complained of', () => {
  assert.equal(failureOf(answered, outcome(timedOut, 1)), timedOut.trim());
  const stray = 'ownstack: 3 packets came from 10.244.1.7:8080 to port 40000, whom the command has not asked';
  assert.match(failureOf(answered, outcome(timedOut, 1, stray)) ?? '', /timed out; ownstack: 3 packets came/);
  assert.equal(failureOf(answered, outcome('', 126, 'no such file')), 'no such file');
  assert.match(failureOf(answered, outcome('', 126)) ?? '', /status 126 and said nothing/);
});

test('of several attempts the last counts, or every one', () => {
  const twice = outcome(`${timedOut}${line()}`, 1);
  assert.equal(failureOf(answered, twice), undefined);
  assert.notEqual(failureOf({ ...answered, isEvery: true }, twice), undefined);
});

test('segments must be as large as the MTU allows, in both families', () => {
  const segments = { ...answered, peer: undefined, isInFullSegments: true };
  const full = (mtu: number, mss: number) =>
    outcome(line().replace(' answer:', ` mtu=${mtu} mss=${mss} retransmits=0 answer:`));
  assert.equal(failureOf(segments, full(1450, 1398)), undefined);
  assert.match(
    failureOf(segments, full(1450, 1348)) ?? '',
    /segments of 1348 bytes where a route of MTU 1450 carries 1398/,
  );
  const ipv6 = full(1450, 1378);
  assert.equal(
    failureOf(segments, { ...ipv6, stdout: ipv6.stdout.replace('10.244.0.5:40000', '[fd00::5]:40000') }),
    undefined,
  );
});

test('only a refusal is a refusal', () => {
  assert.equal(failureOf(refused, outcome('failed 1 after 0.1 ms: connect: Connection refused\n', 1)), undefined);
  assert.match(failureOf(refused, outcome(line())) ?? '', /^ok 1/);
  assert.match(failureOf(refused, outcome(timedOut, 1)) ?? '', /timed out/);
});

test('a ping passes when the right host replies, whole and as large as asked', () => {
  const reply = (from: string, length: number) =>
    outcome(`route mtu=1450\nok 1 ms=0.1 from=${from} length=${length} hops=62\n`);
  const echoed = { outcome: 'echoed', from: '10.244.1.7', isFull: true } as const;
  assert.equal(failureOf(echoed, reply('10.244.1.7', 1450)), undefined);
  assert.match(failureOf(echoed, reply('10.244.1.7', 84)) ?? '', /84 bytes, not of the MTU/);
  assert.notEqual(failureOf(echoed, reply('10.96.0.1', 1450)), undefined);
});

test('time exceeded must come from a router, and too big with the MTU of the route', () => {
  const error = (text: string) => outcome(`route mtu=1450\nicmp 1 ms=0.1 from=10.244.0.1 ${text}\n`, 1);
  const exceeded = { outcome: 'time-exceeded', notFrom: '10.244.1.7' } as const;
  assert.equal(failureOf(exceeded, error('type=time-exceeded')), undefined);
  assert.notEqual(failureOf({ ...exceeded, notFrom: '10.244.0.1' }, error('type=time-exceeded')), undefined);
  assert.notEqual(failureOf(exceeded, error('type=unreachable code=1')), undefined);
  const tooBig = { outcome: 'too-big', mayArrive: false } as const;
  assert.equal(failureOf(tooBig, error('type=too-big mtu=1450')), undefined);
  assert.notEqual(failureOf(tooBig, error('type=too-big mtu=1280')), undefined);
  const reply = outcome('route mtu=1450\nok 1 ms=0.1 from=10.244.1.7 length=1451 hops=62\n');
  assert.notEqual(failureOf(tooBig, reply), undefined);
  assert.equal(failureOf({ ...tooBig, mayArrive: true }, reply), undefined);
  assert.notEqual(failureOf({ ...tooBig, mayArrive: true }, outcome(`route mtu=1450\n${timedOut}`, 1)), undefined);
});

test('one host or every host: by who answered, when all was answered', () => {
  const of = ['host=a', 'host=b'];
  const hosts = (text: string, exitCode = 0) =>
    outcome(`ok 1 x\nsent=24 answered=24 failed=0 hosts: ${text}\n`, exitCode);
  assert.equal(failureOf({ outcome: 'one-host', of }, hosts('a=24')), undefined);
  assert.match(failureOf({ outcome: 'one-host', of }, hosts('a=20 b=4')) ?? '', /a and b/);
  assert.notEqual(failureOf({ outcome: 'one-host', of }, hosts('c=24')), undefined);
  assert.equal(failureOf({ outcome: 'every-host', of }, hosts('b=4 a=20')), undefined);
  assert.match(failureOf({ outcome: 'every-host', of }, hosts('a=24')) ?? '', /answers from a$/);
  assert.notEqual(failureOf({ outcome: 'every-host', of }, hosts('a=20 b=4', 1)), undefined);
});

test('names: exactly the records, or none at all and the word for it', () => {
  const records = ['A 10.96.0.2', 'A 10.96.0.1'];
  assert.equal(failureOf({ outcome: 'resolved', records }, outcome('A 10.96.0.1\nA 10.96.0.2\n')), undefined);
  assert.notEqual(failureOf({ outcome: 'resolved', records }, outcome('A 10.96.0.1\n')), undefined);
  const chosen = { outcome: 'resolved', records: ['SRV 0 * 80 web'] } as const;
  assert.equal(failureOf(chosen, outcome('SRV 0 50 80 web\n')), undefined);
  assert.notEqual(failureOf(chosen, outcome('SRV 0 50 81 web\n')), undefined);
  assert.notEqual(failureOf(chosen, outcome('SRV 0 50 80 web\nSRV 0 50 80 web\n')), undefined);
  const none = { outcome: 'no-such-name' } as const;
  assert.equal(failureOf(none, outcome('', 1, 'lab-pod: none: no such name\n')), undefined);
  assert.match(failureOf(none, outcome('', 1, 'lab-pod: the nameserver does not answer\n')) ?? '', /does not answer/);
});

test('silence is broken by what was heard', () => {
  assert.equal(failureOf({ outcome: 'silence' }, outcome('heard 0 datagrams\n')), undefined);
  const heard = 'heard from=10.10.30.101:18080 length=64\nheard 1 datagrams\n';
  assert.match(failureOf({ outcome: 'silence' }, outcome(heard)) ?? '', /from=10\.10\.30\.101/);
});

test('what was wanted is a sentence for people', () => {
  assert.equal(wantedText(answered), 'an answer by host=web from 10.96.0.50:80, which saw 10.244.0.5');
});
