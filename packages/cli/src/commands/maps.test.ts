import assert from 'node:assert/strict';
import { test } from 'node:test';
import { agent, sluice } from '../test-agent.ts';

const maps = [
  { name: 'frontends', type: 'hash', entries: 3, maxEntries: 65_536, bytes: 3 << 20 },
  { name: 'conntrack', type: 'hash', entries: 0, maxEntries: 131_072, bytes: 4096 },
];
const entries = [
  {
    key: { address: '10.96.0.10', port: 53, protocol: 'UDP' },
    value: { serviceId: 2, dnat: { address: null, port: 0 } },
  },
  { key: { address: '10.96.0.1', port: 443, protocol: 'TCP' }, value: { serviceId: 1, words: [1, 2] } },
  { key: 7, value: 'ab'.repeat(100) },
];
const lines = entries.map((entry) => `${JSON.stringify(entry)}\n`);

const answers = (url: string): unknown => {
  const { pathname, searchParams } = new URL(url, 'http://agent');
  if (pathname === '/maps') return maps;
  if (pathname === '/maps/frontends') return lines.slice(0, Number(searchParams.get('limit') ?? lines.length)).join('');
  return undefined;
};

test('a dump has a line an entry, fields with their names, and tells what the limit leaves out', async () => {
  using server = await agent(answers);
  const { out, err, exitCode } = await sluice(['map', 'dump', 'frontends', '--limit', '2', '--socket', server.socket]);
  assert.equal(exitCode, 0);
  assert.deepEqual(out.split('\n'), [
    'KEY                                       VALUE                                    MEANS',
    'address=10.96.0.10 port=53 protocol=UDP   serviceId=2 dnat.address=- dnat.port=0',
    'address=10.96.0.1 port=443 protocol=TCP   serviceId=1 words=1,2',
    '',
  ]);
  assert.equal(err, '2 entries of some 3 shown; --limit 0 shows all\n');
});

test('rows of frontends that are no address and port of a service say what they are', async () => {
  const rows = [
    { key: { address: '10.96.0.1', port: 0, protocol: 0 }, value: { serviceId: 0 } },
    { key: { address: '::', port: 30_080, protocol: 'TCP' }, value: { serviceId: 3 } },
  ];
  const answer = rows.map((row) => `${JSON.stringify(row)}\n`).join('');
  using server = await agent({ '/maps': maps, '/maps/frontends?limit=1001': answer });
  const { out } = await sluice(['map', 'dump', 'frontends', '--socket', server.socket]);
  assert.match(out, /port=0 .*serviceId=0 {3}the mark that services have this address; no port of one$/m);
  assert.match(out, /port=30080 .*serviceId=3 {3}a NodePort: at every address of the node that has them$/m);
});

test('without a limit nothing is left out, long bytes are cut for people and whole in JSON', async () => {
  using server = await agent(answers);
  const text = await sluice(['map', 'dump', 'frontends', '--limit', '0', '--socket', server.socket]);
  assert.equal(text.err, '');
  assert.match(text.out, /^7 {3,}(ab){40}…$/m);
  const json = await sluice(['map', 'dump', 'frontends', '-o', 'json', '--socket', server.socket]);
  assert.deepEqual(JSON.parse(json.out), entries);
});

test('a map that is none gets the one that was meant', async () => {
  using server = await agent(answers);
  const near = await sluice(['map', 'dump', 'fronteds', '--socket', server.socket]);
  assert.equal(near.exitCode, 2);
  assert.equal(near.err, 'sluice: no map fronteds; did you mean frontends?\n');
  const far = await sluice(['map', 'dump', 'something', '--socket', server.socket]);
  assert.equal(far.err, 'sluice: no map something; there are conntrack, frontends\n');
});

test('the list tells fill and memory', async () => {
  using server = await agent(answers);
  const { out } = await sluice(['map', 'list', '--socket', server.socket]);
  assert.match(out, /^frontends +hash +3 +65536 +0\.0% +3\.0 MiB$/m);
  assert.match(out, /^conntrack +hash +0 +131072 +0\.0% +4\.0 KiB$/m);
});
