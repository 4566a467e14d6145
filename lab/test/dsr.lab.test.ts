// Needs root and a kernel that Sluice runs on. One lab for all of these, and they build on one another: a client outside
// asks the first node, the second one has the pods, and the third takes the place of the first.
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAgent, untilReady } from './agents.ts';
import { type Client, startClient } from './clients.ts';
import { testLab } from './test-lab.ts';

const [asked, serving, third] = [
  { name: 'k8s-cp1', ipv4: '10.10.30.101', ipv6: 'fd00:10:10:30::101' },
  { name: 'k8s-cp2', ipv4: '10.10.30.102', ipv6: 'fd00:10:10:30::102' },
  { name: 'k8s-cp3', ipv4: '10.10.30.103', ipv6: 'fd00:10:10:30::103' },
] as const;
const outside = { ipv4: '203.0.113.10', ipv6: '[2001:db8:113::10]' } as const;
const external = { ipv4: '192.0.2.77', ipv6: '2001:db8:77::1' } as const;
const families = ['ipv4', 'ipv6'] as const;
const NODE_PORT = 30_080;

const lab = testLab();
const directory = mkdtempSync(join(tmpdir(), 'dsr-'));
before(async () => {
  const values = join(directory, 'values.yaml');
  writeFileSync(values, 'loadBalancer:\n  mode: dsr\n  algorithm: maglev\n');
  await lab.must('up', '--values', values);
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'dsr.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  await leadTo(asked);
});
after(async () => {
  rmSync(directory, { recursive: true });
  await lab[Symbol.asyncDispose]();
});

/** Whose are the external addresses: what L2 announcement or a router decides. */
async function leadTo(node: { readonly ipv4: string; readonly ipv6: string }): Promise<void> {
  for (const family of families)
    await lab.must('exec', 'router', '--', 'ip', 'route', 'replace', external[family], 'via', node[family]);
}

/** The client as the pod sees it, by any of its ways in. */
async function seen(protocol: 'tcp' | 'udp', address: string, port: number): Promise<string> {
  const answer = await lab.must('exec', 'client', '--', 'client', protocol, address, String(port));
  return / peer=(\S+):\d+ /.exec(answer)?.[1] ?? assert.fail(answer);
}

/** One connection for all requests, ten a second. */
function stream(address: string): Client {
  return startClient(lab, 'client', ['tcp', address, '--stream', '--timeout', '10000'], { intervalMs: 100 });
}

async function assertUnbroken(clients: readonly Client[]): Promise<void> {
  for (const client of clients) assert.match(await client.end(), /^sent=\d+ answered=[1-9]\d* failed=0 /, client.what);
}

test('every way of talking works with DSR, from outside as well', async () => {
  const { stdout } = await lab.run('exec', asked.name, '--', 'sluice', 'connectivity', 'test', '-o', 'json');
  const results = JSON.parse(stdout) as { name: string; status: string }[];
  assert.deepEqual(
    results.filter(({ status }) => status !== 'passed'),
    [],
  );
  assert.ok(results.some(({ name }) => name.includes('outside/remote-backend')));
});

for (const family of families) {
  for (const protocol of ['tcp', 'udp'] as const) {
    test(`pods of another node see who comes from outside (${protocol}, ${family})`, async () => {
      assert.equal(await seen(protocol, asked[family], NODE_PORT), outside[family]);
      assert.equal(await seen(protocol, external[family], 80), outside[family]);
    });
  }
}

test('service list, status and ct list tell the mode', async () => {
  const on = (node: string, ...words: string[]) => lab.must('exec', node, '--', 'sluice', ...words);
  assert.match(await on(asked.name, 'service', 'list'), /:30080\/TCP +NodePort +dsr +default\/web:tcp .* done, maglev/);
  assert.match(await on(asked.name, 'status'), /^KubeProxyReplacement: .* dsr$/m);
  assert.match(await on(asked.name, 'ct', 'list'), /203\.0\.113\.10.*, answered by the node of the backend$/m);
  assert.match(await on(serving.name, 'ct', 'list'), /203\.0\.113\.10.*, asked at another node$/m);
});

test('connections go on as they began when all agents restart with another mode', async () => {
  const clients = families.map((family) => stream(external[family]));
  await delay(500);
  const { valuesFile } = lab.layout;
  writeFileSync(valuesFile, readFileSync(valuesFile, 'utf8').replace('mode: dsr', 'mode: snat'));
  for (const { name } of [asked, serving, third]) {
    const node = lab.layout.node(name);
    const killed = await untilAgent(node);
    process.kill(killed, 'SIGKILL');
    await untilReady(node, killed);
  }
  await until('the mode is another one', async () => (await seen('udp', external.ipv4, 80)) !== outside.ipv4);
  await delay(500);
  await assertUnbroken(clients);
});

test('connections outlive the node that was asked, when another one takes its addresses and tables are the same', async () => {
  const { valuesFile } = lab.layout;
  writeFileSync(valuesFile, readFileSync(valuesFile, 'utf8').replace('mode: snat', 'mode: dsr'));
  for (const { name } of [asked, third]) {
    const killed = await untilAgent(lab.layout.node(name));
    process.kill(killed, 'SIGKILL');
    await untilReady(lab.layout.node(name), killed);
  }
  await until('the mode is as it was', async () => (await seen('udp', external.ipv4, 80)) === outside.ipv4);
  const clients = families.flatMap((family) => [1, 2, 3].map(() => stream(external[family])));
  await delay(500);
  await lab.must('node', 'kill', asked.name);
  await leadTo(third);
  await delay(3_000);
  await assertUnbroken(clients);
});

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(200)) if (await look()) return;
  assert.fail(`${what}: not after 30 s`);
}
