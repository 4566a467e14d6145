// What others say, and what people mistype: told in a line, never believed, never waited for without an end.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { sendStatus } from '@sluice/kube/testing';
import { Command, Option } from 'commander';
import { parse } from 'yaml';
import { printable } from './output.ts';
import { createProgram, runProgram } from './program.ts';
import { agent, sluice } from './test-agent.ts';
import { folder } from './test-archive.ts';
import { testCluster } from './test-cluster.ts';

test('what an API server says does nothing to the terminal that it comes to', async () => {
  await using cluster = await testCluster(['n1']);
  cluster.api.fault = (_request, response) => {
    sendStatus(response, 403, 'Forbidden', 'no \u001b]0;owned\u0007 \u009b31m \u202eevil');
    return true;
  };
  const { err, exitCode } = await sluice(['status', '--kubeconfig', cluster.kubeconfig]);
  assert.equal(exitCode, 1);
  assert.equal(err, 'sluice: GET /api/v1/pods: 403 Forbidden: no \\u{1b}]0;owned\\u{7} \\u{9b}31m \\u{202e}evil\n');
});

test('nor do names in a table, and a line end in one is no new row', async () => {
  const lines = [
    { name: 'nodes', revision: 1, initialized: true, columns: ['Name', 'Problems'] },
    { cells: ['n\u001b[2J1', 'one\ntwo\tthree'], row: {} },
  ];
  using server = await agent({ '/tables/nodes': lines.map((line) => `${JSON.stringify(line)}\n`).join('') });
  const { out } = await sluice(['node', 'list', '--socket', server.socket]);
  assert.equal(out.split('\n')[1]?.replace(/ {2,}/, ' '), 'n\\u{1b}[2J1 one two three');
  assert.equal(out.split('\n').length, 3);
  assert.equal(printable('zwölf\t日本 🙂\n'), 'zwölf\t日本 🙂\n');
});

const evil = 'a\u001b[2J\u009b31m\u202eb';
const harmless = 'a\\u{1b}[2J\\u{9b}31m\\u{202e}b';
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what is looked for
const obeyed = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e]/;

test('nor do names of events, and as JSON and YAML they are the same names', async () => {
  const event = { type: 'drop', at: 0, reason: evil, hint: evil, direction: 'egress', tracePoint: evil, source: evil };
  const more = { destination: evil, sourceAddress: '', sourcePort: 0, destinationAddress: '', destinationPort: 0 };
  const rest = {
    protocol: 'TCP',
    sourceIdentity: evil,
    destinationIdentity: '',
    interface: evil,
    packet: evil,
    length: 1,
  };
  const whole = { ...event, ...more, ...rest };
  using server = await agent({
    '/monitor?type=drop': `${JSON.stringify(whole)}\n`,
    '/events?type=drop&last=1': [whole],
  });
  for (const options of [
    ['--count', '1'],
    ['--last', '1'],
  ]) {
    const ask = async (format: string) =>
      (await sluice(['monitor', ...options, '-o', format, '--socket', server.socket])).out;
    const [text, json, yaml] = [await ask('wide'), await ask('json'), await ask('yaml')];
    for (const each of [text, json, yaml]) assert.doesNotMatch(each, obeyed);
    assert.ok(text.includes(harmless), text);
    assert.deepEqual(JSON.parse(json), whole);
    assert.deepEqual(parse(yaml), whole);
  }
});

test('nor do options, warnings and errors of ours with words of others', async () => {
  const option = { name: evil, value: evil, standard: '', source: evil, sentence: evil };
  using server = await agent({
    '/config': { options: [option], warnings: [evil], lacked: { [`${evil}`]: evil }, values: {} },
  });
  const ask = (...args: readonly string[]) => sluice(['config', ...args, '--socket', server.socket]);
  const shown = await ask();
  assert.equal(shown.err, `${harmless}\n`);
  for (const { out, err } of [shown, await ask('-o', 'json'), await ask('-o', 'yaml'), await ask('--lacked')])
    assert.doesNotMatch(out + err, obeyed);
  const told: string[] = [];
  const context = {
    environment: {},
    out: { write: () => 0 },
    err: { write: (text: string) => told.push(text) },
    signal: new AbortController().signal,
  };
  const failing = new Command('fail').action(() => Promise.reject(new Error(evil)));
  assert.equal(await runProgram(createProgram(context, [failing]), ['fail'], context), 70);
  assert.equal(await runProgram(createProgram(context), [evil], context), 2);
  assert.match(told.join(''), /^Error: a\\u\{1b\}/);
  assert.doesNotMatch(told.join(''), obeyed);
});

test('something before the API server that leads elsewhere, or answers in its place, is told', async () => {
  await using cluster = await testCluster(['n1']);
  const ask = async () => (await sluice(['version', '--kubeconfig', cluster.kubeconfig])).err;
  cluster.api.fault = (_request, response) => {
    response.writeHead(302, { location: 'https://login.example.com/' }).end();
    return true;
  };
  assert.match(await ask(), /^sluice: GET \/\S+: 302 to https:\/\/login\.example\.com\/\n$/);
  cluster.api.fault = (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' }).end('<html>log in</html>');
    return true;
  };
  assert.match(await ask(), /^sluice: GET \/\S+: the answer is not JSON: <html>log in<\/html>\n$/);
  cluster.api.fault = (request, response) => {
    response.writeHead(200, { 'content-length': 1_000 }).write('{"kind":"NodeL', () => response.destroy());
    return request.path !== '';
  };
  assert.match(await ask(), /^sluice: connection to 127\.0\.0\.1:\d+ broke: aborted\n$/);
});

test('a socket that is none says what it is', async () => {
  using place = folder();
  const file = join(place.path, 'file');
  writeFileSync(file, '');
  const ask = async (socket: string) => (await sluice(['status', '--socket', socket])).err;
  assert.match(await ask(file), /^sluice: agent at .*\/file: it is no unix socket, and so not that of an agent\n$/);
  assert.match(await ask(place.path), /: it is no unix socket/);
  assert.match(
    await ask('x'.repeat(200)),
    /: this can be no unix socket: its path is empty, or longer than 107 bytes\n$/,
  );
});

test('a format that is none is told before anything is asked or done, and a command with formats of its own keeps them', async () => {
  for (const args of [
    ['-o', 'xml', 'map', 'list'],
    ['map', 'list', '-o', 'xml'],
    ['connectivity', 'test', '-o', 'xml', '--kubeconfig', '/nonexistent'],
  ]) {
    const { err, exitCode } = await sluice([...args]);
    assert.deepEqual([err, exitCode], ['sluice: --output xml: one of table, wide, json, yaml\n', 2], args.join(' '));
  }
  const told: string[] = [];
  const own = new Command('own').option('-o, --output <format>', 'text or json', 'text');
  const context = { environment: {}, out: { write: () => 0 }, err: { write: () => 0 }, signal: AbortSignal.abort() };
  const program = createProgram(context, [own.action(({ output }) => void told.push(output))]);
  assert.equal(await runProgram(program, ['own'], context), 0);
  assert.deepEqual(told, ['text']);
});

test('a format before a command with formats of its own is meant for it; one that has none says so', async () => {
  const run = async (...args: readonly string[]) => {
    const told: string[] = [];
    const context = {
      environment: {},
      out: { write: () => 0 },
      err: { write: (text: string) => told.push(text) },
      signal: new AbortController().signal,
    };
    const formats = new Option('-o, --output <format>').choices(['text', 'json', 'yaml']).default('text');
    const lab = new Command('lab').enablePositionalOptions();
    lab.addCommand(new Command('status').addOption(formats).action(({ output }) => void told.push(output)));
    lab.addCommand(new Command('up').action(() => void told.push('up')));
    const exitCode = await runProgram(createProgram(context, [lab]), args, context);
    return [exitCode, ...told];
  };
  assert.deepEqual(await run('-o', 'json', 'lab', 'status'), [0, 'json']);
  assert.deepEqual(await run('-o', 'json', 'lab', 'status', '-o', 'yaml'), [0, 'yaml']);
  assert.deepEqual(await run('lab', 'up'), [0, 'up']);
  for (const [args, why] of [
    [['-o', 'wide', 'lab', 'status'], '--output wide: one of text, json, yaml'],
    [['-o', 'json', 'lab', 'up'], '--output json: sluice lab up has one format'],
    [['sysdump', '-o', 'json'], '--output json: what is written is an archive, and this its file: --output ./json'],
    [['-o', 'json', 'sysdump'], '--output json: sluice sysdump means another thing by it; write it behind'],
  ] as const)
    assert.deepEqual(await run(...args), [2, `sluice: ${why}\n`]);
});

test('values from what is no file of values are refused in few lines, and a device is not read for ever', async () => {
  for (const [file, what] of [
    ['/dev/zero', /^sluice: \/dev\/zero: cannot be read: it is a device\n$/],
    ['/tmp', /^sluice: \/tmp: cannot be read: EISDIR/],
    [process.execPath, /cannot be read: it is larger than 1048576 bytes\n$/],
    ['/bin/ls', /: and \d+ problems more\n$/],
  ] as const) {
    const { err, exitCode } = await sluice(['doctor', '--config', file, '--socket', '/nonexistent']);
    assert.equal(exitCode, 2, file);
    assert.match(err, what);
    assert.ok(err.split('\n').length <= 22, err);
  }
});

test('a dump in which nothing would be is none', async () => {
  using place = folder();
  await using cluster = await testCluster(['n1']);
  cluster.api.fault = (_request, response) => {
    sendStatus(response, 403, 'Forbidden', 'who are you?');
    return true;
  };
  const output = join(place.path, 'dump.tar.gz');
  const { err, exitCode } = await sluice(['sysdump', '-o', output, '--kubeconfig', cluster.kubeconfig]);
  assert.equal(exitCode, 1);
  assert.match(err, /^sluice: there is nothing to dump: cluster: GET \/\S+: 403 Forbidden: who are you\?\n$/);
});
