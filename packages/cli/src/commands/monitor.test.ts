import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseAllDocuments } from 'yaml';
import { agent, sluice } from '../test-agent.ts';

const event = {
  type: 'drop',
  at: Date.UTC(2026, 0, 1, 12),
  reason: 'No backend',
  hint: 'kubectl get endpointslices',
  direction: 'egress',
  tracePoint: 'from pod',
  source: 'shop/client',
  destination: '',
  sourceAddress: '10.244.0.5',
  sourcePort: 40_000,
  destinationAddress: '10.96.0.9',
  destinationPort: 80,
  protocol: 'TCP',
  sourceIdentity: '4711',
  destinationIdentity: 'world',
  interface: 'slc0123456789',
  packet: '10.244.0.5:40000 > 10.96.0.9:80 tcp SYN',
  length: 74,
};

test('monitor prints one event a line and ends after the count', async () => {
  using server = await agent({ '/monitor?type=drop': `${JSON.stringify(event)}\n${JSON.stringify(event)}\n` });
  const { out, exitCode } = await sluice(['monitor', '--count', '1', '--socket', server.socket]);
  assert.equal(exitCode, 0);
  assert.match(
    out,
    /^12:00:00\.000 xx drop \(No backend\) shop\/client -> unknown, slc0123456789 egress, identity 4711->world: /,
  );
  assert.equal(out.split('\n').filter((line) => line.includes('xx drop')).length, 1);
});

test('monitor says that it listens when the agent has answered, and to people alone', async () => {
  using server = await agent({ '/monitor?type=drop': `${JSON.stringify(event)}\n` });
  const ask = async (socket: string, ...more: readonly string[]) =>
    (await sluice(['monitor', '--count', '1', '--socket', socket, ...more])).err;
  assert.equal(await ask(server.socket), 'Listening for drops; end with Ctrl-C.\n');
  assert.equal(await ask(server.socket, '-o', 'json'), '');
  assert.match(await ask('/nowhere/sluice.sock'), /^sluice: agent at [^\n]*\n$/);
  assert.match(await ask(server.socket, '--type', 'trace'), /^sluice: agent answers 404 [^\n]*\n$/);
});

test('monitor with -o wide adds the day, the addresses behind the names, who saw it and the size', async () => {
  const inKernel = { ...event, direction: 'kernel', tracePoint: 'tcp_v4_rcv', sourceAddress: 'fd00::1' };
  using server = await agent({ '/monitor?type=drop': `${JSON.stringify(event)}\n${JSON.stringify(inKernel)}\n` });
  const { out } = await sluice(['monitor', '--count', '2', '-o', 'wide', '--socket', server.socket]);
  assert.deepEqual(
    out.split('\n').filter((line) => line.includes(' bytes')),
    [
      '             on 2026-01-01, TCP 10.244.0.5:40000 -> 10.96.0.9:80, seen by from pod, 74 bytes',
      '             on 2026-01-01, TCP [fd00::1]:40000 -> 10.96.0.9:80, in tcp_v4_rcv, 74 bytes',
    ],
  );
});

test('monitor prints a document of YAML for each event, and a line of JSON', async () => {
  const events = [event, { type: 'lost', count: 1 }];
  const ended = events.map((event) => `${JSON.stringify(event)}\n`).join('');
  using server = await agent({ '/monitor?type=drop': ended });
  const monitor = ['monitor', '--socket', server.socket];
  const yaml = await sluice([...monitor, '-o', 'yaml']);
  assert.match(yaml.out, /^---\ntype: drop\nat: \d+\nreason: No backend\n[\s\S]*\n---\ntype: lost\ncount: 1\n$/);
  assert.deepEqual(
    parseAllDocuments(yaml.out).map((document) => document.toJS()),
    events,
  );
  assert.equal((await sluice([...monitor, '-o', 'json'])).out, ended);
});

test('monitor says how many events were left out, and that the agent has gone', async () => {
  using server = await agent({ '/monitor?type=drop': '{"type":"lost","count":12}\n' });
  const { out, err, exitCode } = await sluice(['monitor', '--socket', server.socket]);
  assert.equal(out, '12 events left out: more came than could be shown\n');
  assert.match(err, /ended the answer; it may have been restarted/);
  assert.equal(exitCode, 1);
});

test('monitor asks the agent for what is wanted, and for nothing else', async () => {
  const path =
    '/monitor?type=drop&reason=no_backend&from-pod=shop%2Fweb&ip=10.96.0.0%2F16&port=80&port=443&protocol=tcp';
  using server = await agent({ [path]: `${JSON.stringify(event)}\n` });
  const wanted = [
    '--from-pod',
    'shop/web',
    '--ip',
    '10.96.0.0/16',
    '--port',
    '80',
    '--port',
    '443',
    '--protocol',
    'tcp',
  ];
  const args = ['monitor', '--reason', 'no_backend', ...wanted, '--count', '1', '--socket', server.socket];
  const { out, exitCode } = await sluice(args);
  assert.deepEqual([exitCode, out.includes('No backend')], [0, true]);
});

test('monitor --last shows what has been and ends; with --follow it goes on', async () => {
  using server = await agent({
    '/events?type=drop&last=2': [event, event],
    '/monitor?type=drop&last=2': `${JSON.stringify(event)}\n`,
  });
  const last = ['monitor', '--last', '2', '--socket', server.socket];
  const past = await sluice(last);
  assert.deepEqual([past.exitCode, past.err, past.out.match(/xx drop/g)?.length], [0, '', 2]);
  const followed = await sluice([...last, '--follow']);
  assert.match(followed.err, /Listening.*\n.*ended the answer/);
  assert.equal(followed.out.match(/xx drop/g)?.length, 1);
});

test('monitor --since asks from a moment on', async () => {
  const asked: string[] = [];
  using server = await agent((url) => {
    asked.push(url);
    return [];
  });
  assert.equal((await sluice(['monitor', '--since', '5m', '--socket', server.socket])).exitCode, 0);
  const [, since] = /since=(\d+)/.exec(asked.join()) ?? [];
  assert.ok(Math.abs(Date.now() - 300_000 - Number(since)) < 10_000, asked.join());
});

test('what is no address, port, protocol or time is refused before anything is asked', async () => {
  for (const [option, value, what] of [
    ['--ip', 'web', /an address such as/],
    ['--port', '0', /a number from 1 to 65535/],
    ['--protocol', 'quic', /one of tcp, udp/],
    ['--since', '5', /such as 30s, 5m, 2h or 1d/],
  ] as const) {
    const { err, exitCode } = await sluice(['monitor', option, value, '--socket', '/nonexistent']);
    assert.equal(exitCode, 2);
    assert.match(err, what);
  }
});

const trace = {
  ...event,
  type: 'trace',
  state: 'established',
  destination: 'shop/db-0',
  destinationAddress: '10.244.1.7',
  destinationPort: 5432,
  frontend: { address: '10.96.0.9', port: 80, name: 'service shop/db' },
  packets: { sent: 2, replied: 1 },
  bytes: { sent: 120, replied: 60 },
};

test('a connection whose state has changed is one line, with the service that was asked and what has gone', async () => {
  using server = await agent({ '/events?type=drop&type=trace&last=5': [event, trace] });
  const { out } = await sluice(['monitor', '--type', 'all', '--last', '5', '--socket', server.socket]);
  assert.match(
    out,
    /^12:00:00\.000 -> trace \(established\) TCP shop\/client:40000 -> shop\/db-0:5432 for service shop\/db:80, slc0123456789 egress, identity 4711->world: 2\/1 packets, 120\/60 bytes$/m,
  );
  assert.match(out, /^12:00:00\.000 xx drop /m);
});
