// Needs root and a kernel that Sluice runs on. What happens to nodes behind their agents' backs, seen from pods and in the status.
import assert from 'node:assert/strict';
import { mkdirSync, rmdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAgent, untilReady } from './agents.ts';
import { startClient } from './clients.ts';
import { type TestLab, testLab } from './test-lab.ts';

async function labWithPods(): Promise<TestLab & { readonly web: readonly [ipv4: string, ipv6: string] }> {
  const lab = testLab();
  try {
    await lab.must('up', '--nodes', '2');
    await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
    await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
    await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=60s');
    await Promise.all(['k8s-cp1', 'k8s-cp2'].map((name) => untilReady(lab.layout.node(name))));
    const [ipv4 = '', ipv6 = ''] = (
      await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}')
    ).split(' ');
    return { ...lab, web: [ipv4, ipv6] };
  } catch (error) {
    await lab[Symbol.asyncDispose]();
    throw error;
  }
}

test('devices of ours that vanish and routes that flap break no connection, and come back', async () => {
  await using lab = await labWithPods();
  const [web4, web6] = lab.web;
  const onNode = (...command: string[]) => lab.must('exec', 'k8s-cp1', '--', ...command);
  const clients = [
    startClient(lab, 'near', ['tcp', web4, '--stream', '--timeout', '20000']),
    startClient(lab, 'near', ['tcp', web6, '--stream', '--timeout', '20000']),
    startClient(lab, 'far', ['tcp', web4, '--timeout', '20000']),
  ];
  await delay(500);
  for (let flap = 0; flap < 5; flap += 1) {
    await onNode('ip', 'route', 'flush', 'proto', '83');
    await onNode('ip', '-6', 'route', 'flush', 'proto', '83');
  }
  for (const device of ['sluice_vxlan', 'sluice_host', 'sluice_net']) {
    await onNode('ip', 'link', 'delete', device);
    await untilWell(lab, 'k8s-cp1');
  }
  for (const client of clients) {
    const text = await client.end();
    assert.match(text, /sent=(\d{2,}) answered=\1 failed=0/, client.what);
  }
  assert.match(await onNode('ip', 'route', 'show', 'proto', '83'), /10\.244\.1\.0\/24 dev sluice_host/);
});

test('one family that fails alone between nodes is told by address, and that it is well again', async () => {
  await using lab = await labWithPods();
  const onNode = (...command: string[]) => lab.must('exec', 'k8s-cp1', '--', ...command);
  const rule = ['input', 'ip6', 'saddr', 'fd00:10:10:30::102', 'drop'];
  await onNode('nft', 'add', 'table', 'inet', 'fault');
  await onNode('nft', 'add', 'chain', 'inet', 'fault', 'input', '{ type filter hook input priority 0 ; }');
  await onNode('nft', 'add', 'rule', 'inet', 'fault', ...rule);
  const told = /k8s-cp2: unreachable: fd00:10:10:30::102 \(the node\) does not answer/;
  await untilStatus(lab, 'k8s-cp1', told);
  assert.match(await statusOf(lab, 'k8s-cp1'), /1 nftables rule of table inet fault/);
  await onNode('nft', 'flush', 'ruleset');
  await untilWell(lab, 'k8s-cp1');
});

test('an agent that stands still is told so by every command, and all goes on when it moves again', async () => {
  await using lab = await labWithPods();
  const node = lab.layout.node('k8s-cp1');
  const agent = await untilAgent(node);
  process.kill(agent, 'SIGSTOP');
  try {
    const monitor = await lab.run('exec', 'k8s-cp1', '--', 'sluice', 'monitor');
    assert.equal(monitor.status, 1);
    assert.match(monitor.stderr, /silent for 7 s: the process is there and stands still/);
    const status = await lab.run('exec', 'k8s-cp1', '--', 'sluice', 'status');
    assert.match(status.stderr, /no answer within 5 s/);
    // Without its agent the node serves its pods, old and new connections.
    await lab.must('exec', 'near', '--', 'client', 'tcp', lab.web[0], '80', '--count', '20');
  } finally {
    process.kill(agent, 'SIGCONT');
  }
  await untilWell(lab, 'k8s-cp1');
});

test('an agent that cannot start tells why who asks it, and is well as soon as the reason is gone', async () => {
  await using lab = await labWithPods();
  const node = lab.layout.node('k8s-cp1');
  const pin = join(node.bpffs, 'sluice/maps/kernel_drops');
  rmSync(pin);
  mkdirSync(pin);
  try {
    process.kill(await untilAgent(node), 'SIGKILL');
    await until('the reason is told', async () => {
      const { stderr } = await lab.run('exec', node.name, '--', 'sluice', 'status');
      return stderr.includes('it does not start') && stderr.includes(pin);
    });
    await lab.must('exec', 'near', '--', 'client', 'tcp', lab.web[0], '80', '--count', '20');
  } finally {
    rmdirSync(pin);
  }
  await untilWell(lab, node.name);
});

async function statusOf(lab: TestLab, node: string): Promise<string> {
  return (await lab.run('exec', node, '--', 'sluice', 'status')).stdout;
}

function untilStatus(lab: TestLab, node: string, pattern: RegExp): Promise<void> {
  return until(`${pattern} in the status of ${node}`, async () => pattern.test(await statusOf(lab, node)));
}

function untilWell(lab: TestLab, node: string): Promise<void> {
  return until(`${node} is well`, async () => (await lab.run('exec', node, '--', 'sluice', 'status')).status === 0);
}

const patienceMs = 40_000;

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await look())) {
    assert.ok(performance.now() < deadline, `not within ${patienceMs} ms: ${what}`);
    await delay(200);
  }
}
