// Needs root and a kernel that Sluice runs on.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { agentMetrics } from '@sluice/agent/metrics';
import { temporaryDirectory } from '@sluice/testing';
import { untilReady } from './agents.ts';
import { type TestLab, testLab } from './test-lab.ts';

interface Status {
  readonly drops: readonly { readonly reason: string; readonly direction: string; readonly packets: number }[];
  readonly forwarded: readonly { readonly direction: string; readonly packets: number }[];
}

/** Counted only while somebody has the kernel count, or when something has gone wrong. */
const absentWhenAllIsWell = [
  'sluice_bpf_program_runs_total',
  'sluice_bpf_program_run_seconds_total',
  'cilium_errors_warnings_total',
];

const values = 'devices: eno1\nprometheus: { enabled: true }\n';

test('under traffic the metrics count what the status counts; the operator has its own', async () => {
  using directory = temporaryDirectory();
  const file = join(directory.path, 'values.yaml');
  writeFileSync(file, values);
  await using lab = testLab();
  await lab.must('up', '--nodes', '2', '--values', file);
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
  await lab.must('kubectl', 'create', 'service', 'clusterip', 'empty', '--tcp=80');
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=60s');
  await untilReady(lab.layout.node('k8s-cp1'));
  const address = (service: string) =>
    lab.must('kubectl', 'get', 'service', service, '-o', 'jsonpath={.spec.clusterIP}');
  const [web, empty] = [await address('web'), await address('empty')];
  const before = await scrape(lab, 9962);
  await lab.must('exec', 'near', '--', 'client', 'tcp', web, '80');
  // In both directions, whichever node has the backend that was chosen.
  for (const pod of await podAddresses(lab))
    for (const from of ['near', 'far']) await lab.must('exec', from, '--', 'client', 'tcp', pod, '8080');
  const refused = await lab.run('exec', 'near', '--', 'client', 'tcp', empty, '80');
  assert.notEqual(refused.status, 0, 'a service without backends answers');
  assert.match(await sluice(lab, 'monitor', '--last', '1'), /no backend\) default\/near -> service default\/empty/);
  const status: Status = JSON.parse(await sluice(lab, 'status', '-o', 'json'));
  const after = await scrape(lab, 9962);

  const noBackend = status.drops.find(({ reason }) => /no backend/i.test(reason));
  assert.ok(noBackend && noBackend.packets > 0, JSON.stringify(status.drops));
  for (const { reason, direction, packets } of status.drops) {
    const key = `cilium_drop_count_total{reason="${reason}",direction="${direction.toUpperCase()}"}`;
    const counted = after.get(key) ?? 0;
    assert.ok(counted >= packets && counted <= packets + 5, `${key}: ${counted}, the status has ${packets}`);
  }
  for (const { direction, packets } of status.forwarded) {
    const key = `cilium_forward_count_total{direction="${direction.toUpperCase()}"}`;
    assert.ok((after.get(key) ?? 0) >= packets, `${key}: ${after.get(key)}, the status has ${packets}`);
    assert.ok((after.get(key) ?? 0) > (before.get(key) ?? 0), `${key} has not grown`);
  }
  assert.equal(after.get('cilium_unreachable_nodes'), 0);
  assert.ok((after.get('cilium_services_events_total{action="add"}') ?? 0) >= 2);
  assert.ok((after.get('cilium_service_implementation_delay_count{action="add"}') ?? 0) >= 2);
  assert.ok((after.get('cilium_kubernetes_events_total{scope="Service",action="create",status="success"}') ?? 0) >= 2);
  const listed = JSON.parse(await sluice(lab, 'metrics', 'list', '--match', 'cilium_drop_count_total', '-o', 'json'));
  assert.deepEqual(Object.keys(listed[0].labels), ['reason', 'direction']);

  const names = new Set([...after.keys()].map((key) => key.replace(/(_bucket|_sum|_count)?({.*)?$/, '')));
  const missing = agentMetrics.map(({ name }) => name).filter((name) => !names.has(name.replace(/_count$/, '')));
  assert.deepEqual(
    missing.filter((name) => !absentWhenAllIsWell.includes(name)),
    [],
    'what docs/metrics.md promises has a value once there is traffic',
  );

  const operator = await scrape(lab, 9963);
  assert.equal(operator.get('sluice_operator_leading'), 1);
  assert.equal(operator.get('sluice_operator_nodes'), 2);
  assert.ok((operator.get('sluice_operator_identities') ?? 0) > 0);
});

async function podAddresses(lab: TestLab): Promise<string[]> {
  const addresses = await lab.must(
    'kubectl',
    'get',
    'pods',
    '-l',
    'app=web',
    '-o',
    'jsonpath={.items[*].status.podIP}',
  );
  return addresses.split(' ');
}

/** By name and labels, as they are written. */
async function scrape(lab: TestLab, port: number): Promise<ReadonlyMap<string, number>> {
  // Not every machine has curl, and this one has Node.
  const ask = `fetch('http://127.0.0.1:${port}/metrics').then((answer) => answer.text()).then(console.log)`;
  const text = await lab.must('exec', 'k8s-cp1', '--', process.execPath, '--eval', ask);
  const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
  return new Map(
    lines.map((line): [string, number] => {
      const end = line.lastIndexOf(' ');
      return [line.slice(0, end), Number(line.slice(end + 1))];
    }),
  );
}

function sluice(lab: TestLab, ...args: readonly string[]): Promise<string> {
  return lab.must('exec', 'k8s-cp1', '--', 'sluice', ...args);
}
