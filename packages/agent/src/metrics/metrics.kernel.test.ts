import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { isDeepStrictEqual } from 'node:util';
import { type Gathered, installationRoot } from '@sluice/runtime';
import { temporaryNetworkNamespace } from '@sluice/testing';
import { type AgentNode, agentNode } from '../../test/agent-process.ts';
import type { MapUsage, StatusReport } from '../report.ts';
import { agentMetrics } from './agent-metrics.ts';

const needed = ['dist/bin/sluice-cni', 'bpf/build/pod.o'].filter((path) => !existsSync(join(installationRoot(), path)));
const options = { skip: needed.length > 0 && `not built: ${needed.join(', ')}; npm run build makes it` };

/** By name and labels as they are written: `cilium_version{version="1"}`. */
function samplesOf(text: string): ReadonlyMap<string, number> {
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line) => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

test('an agent is scraped at its port, and its metrics say what its status says', options, async () => {
  await using node = agentNode();
  using pod = temporaryNetworkNamespace();
  await node.start('prometheus: { enabled: true, port: 9990 }');
  assert.equal(node.cni('ADD', 'c1', pod.path).status, 0);
  assert.equal(node.cni('ADD', 'nonsense', '/does/not/exist').status, 1);
  await untilMetric(node, 'cilium_k8s_client_api_calls_total');
  const { scraped, status, maps } = await scrapedAtRest(node);
  assert.equal(scraped?.contentType, 'text/plain; version=0.0.4; charset=utf-8');
  const samples = samplesOf(scraped.body);
  assert.equal(samples.get(`cilium_version{version="${status.version}",arch="${process.arch}"}`), 1);
  assert.equal(samples.get('cilium_endpoint'), 1);
  assert.equal(samples.get('cilium_ip_addresses{family="ipv4"}'), 1);
  assert.equal(samples.get('cilium_ipam_capacity{family="ipv4"}'), 253);
  assert.equal(samples.get('sluice_cni_request_duration_seconds_count{command="ADD",code="0"}'), 1);
  const endpoints = maps.find(({ name }) => name === 'endpoints');
  assert.ok(endpoints?.entries);
  assert.equal(samples.get('cilium_bpf_map_pressure{map_name="endpoints"}'), endpoints.entries / endpoints.maxEntries);
  assert.equal(
    samples.get('cilium_bpf_maps_virtual_memory_max_bytes'),
    maps.reduce((sum, { bytes = 0 }) => sum + bytes, 0),
  );
  assert.ok(
    (samples.get('cilium_bpf_map_ops_total{map_name="endpoints",operation="update",outcome="success"}') ?? 0) > 0,
  );
  for (const { name, state } of status.modules)
    assert.equal(samples.get(`sluice_module_state{module="${name}",state="${state}"}`), 1, name);
  for (const { direction } of status.forwarded)
    assert.ok(samples.has(`cilium_forward_count_total{direction="${direction.toUpperCase()}"}`), direction);
  assert.equal(status.modules.find(({ name }) => name === 'metrics')?.state, 'ok');
  assert.ok(
    (samples.get('cilium_k8s_client_api_calls_total{host="127.0.0.1:6443",method="GET",return_code="<error>"}') ?? 0) >
      0,
  );
  const open = node.ask('http://127.0.0.1:9990/metrics', 'application/openmetrics-text; version=1.0.0');
  assert.match(open?.contentType ?? '', /^application\/openmetrics-text/);
  assert.match(open?.body ?? '', /# EOF\n$/);
});

/** With maps that nothing has changed meanwhile, and a status of before it: what that has counted the scrape has as well. */
async function scrapedAtRest(node: AgentNode) {
  for (;;) {
    const before = (await node.get('/maps')) as MapUsage[];
    const status = (await node.get('/status')) as StatusReport;
    const scraped = node.ask('http://127.0.0.1:9990/metrics');
    const maps = (await node.get('/maps')) as MapUsage[];
    if (isDeepStrictEqual(maps, before)) return { scraped, status, maps };
  }
}

/** There is a sample of it: what it counts has happened. */
async function untilMetric(node: AgentNode, name: string): Promise<void> {
  for (;;) {
    const { values } = (await node.get('/metrics')) as Gathered;
    if (values.some((metric) => metric.name === name && metric.samples.length > 0)) return;
    await sleep(50);
  }
}

test(
  'without prometheus.enabled no port is open, the status says why, and the local API has them all',
  options,
  async () => {
    await using node = agentNode();
    await node.start();
    assert.equal(node.ask('http://127.0.0.1:9962/metrics'), undefined);
    const { modules } = (await node.get('/status')) as StatusReport;
    const metrics = modules.find(({ name }) => name === 'metrics');
    assert.equal(metrics?.state, 'off');
    assert.match(metrics?.why ?? '', /^prometheus\.enabled is false/);
    const { values, failures } = (await node.get('/metrics')) as Gathered;
    assert.deepEqual(failures, []);
    assert.deepEqual(
      values.map(({ name }) => name),
      agentMetrics.map(({ name }) => name),
    );
  },
);

test('a port that somebody else has is told, and the rest of the agent works', options, async () => {
  await using node = agentNode();
  await using _other = await listener(node.netns, 9990);
  await node.start('prometheus: { enabled: true, port: 9990 }');
  const { modules } = (await node.get('/status')) as StatusReport;
  assert.deepEqual(
    modules.filter(({ state }) => state === 'degraded'),
    [{ name: 'metrics', state: 'degraded', why: 'port 9990: another process has it; tried again every 10 s' }],
  );
});

/** A process that has a port of the node. */
async function listener(netns: string, port: number): Promise<AsyncDisposable> {
  const code = `require('node:net').createServer().listen(${port}, () => console.log('listens'))`;
  const child = spawn('nsenter', [`--net=${netns}`, process.execPath, '-e', code], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  return {
    async [Symbol.asyncDispose]() {
      child.kill();
      await once(child, 'exit');
    },
  };
}

test('while an agent waits for its pod CIDRs its metrics tell of it already', options, async () => {
  await using node = agentNode();
  rmSync(join(node.stateDir, 'node.json'));
  const starting = node.start('prometheus: { enabled: true }').catch(() => 'ended');
  const gathered = await untilAnswered(() => node.get('/metrics') as Promise<Gathered>);
  assert.deepEqual(gathered.failures, []);
  const scraped = samplesOf(node.ask('http://127.0.0.1:9962/metrics')?.body ?? '');
  assert.equal(scraped.get('sluice_module_state{module="datapath",state="degraded"}'), 1);
  assert.ok(!scraped.has('cilium_agent_bootstrap_seconds{scope="overall",outcome="success"}'));
  await node.kill();
  assert.equal(await starting, 'ended');
});

async function untilAnswered<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    const answer = await ask().catch(() => undefined);
    if (answer !== undefined) return answer;
    await sleep(50);
  }
}
