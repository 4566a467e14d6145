// Needs root and a kernel that Sluice runs on.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAgent, untilReady } from './agents.ts';
import { maglevTables } from './configuration-maps.ts';
import { type TestLab, testLab } from './test-lab.ts';

const nodes = [
  { name: 'k8s-cp1', ipv4: '10.10.30.101', ipv6: 'fd00:10:10:30::101' },
  { name: 'k8s-cp2', ipv4: '10.10.30.102', ipv6: 'fd00:10:10:30::102' },
  { name: 'k8s-cp3', ipv4: '10.10.30.103', ipv6: 'fd00:10:10:30::103' },
] as const;
const [first, second, third] = nodes;
const NODE_PORT = 30_080;
const ports = Array.from({ length: 60 }, (_, index) => 40_000 + index);

/** Which pod answers a client outside that asks from each of the ports, in their order. */
async function served(lab: TestLab, address: string): Promise<string[]> {
  const ask = `client udp ${address} ${NODE_PORT} --source-port $port --timeout 1000`;
  const script = `for port in ${ports.join(' ')}; do ${ask}; done`;
  const text = await lab.must('exec', 'client', '--', 'sh', '-c', script);
  const pods = [...text.matchAll(/ answer: host=(\S+)/g)].map(([, pod = '']) => pod);
  assert.equal(pods.length, ports.length, text);
  return pods;
}

test('Maglev: whichever node is asked, also after a restart, a client gets the same pod; one that goes moves few others', async () => {
  await using lab = testLab();
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'maglev.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  const layouts = nodes.map(({ name }) => lab.layout.node(name));
  const before = await served(lab, first.ipv4);
  assert.equal(new Set(before).size, 6, 'all pods have clients');
  const tables = maglevTables(lab.layout.node(first.name));
  assert.equal(tables.length, 4 * 9, 'chunks for two protocols in two families');
  for (const layout of layouts) assert.deepEqual(maglevTables(layout), tables, `tables of ${layout.name}`);

  // Nobody has asked this node yet: what it answers is the table's, and no connection's.
  const killed = await untilAgent(lab.layout.node(second.name));
  process.kill(killed, 'SIGKILL');
  await untilReady(lab.layout.node(second.name), killed);
  assert.deepEqual(await served(lab, second.ipv4), before);
  assert.deepEqual(await served(lab, second.ipv6), await served(lab, first.ipv6));
  assert.deepEqual(maglevTables(lab.layout.node(second.name)), tables);

  await lab.must('kubectl', 'scale', 'deployment/web', '--replicas=5');
  const pods = await untilPods(lab, 5);
  const after = await served(lab, third.ipv4);
  const kept = before.flatMap((pod, index) => (pods.includes(pod) ? [pod === after[index]] : []));
  const moved = kept.filter((isSame) => !isSame).length;
  assert.ok(kept.length >= ports.length / 2 && moved <= kept.length / 10, `${moved} of ${kept.length} moved`);
});

const BALANCER = '198.18.0.5';
const requests = 160;

test('Maglev with DSR: connections go on when the network leads them to another node', async () => {
  await using lab = testLab();
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'maglev.yaml'));
  await lab.must('kubectl', 'annotate', 'service', 'web', 'service.cilium.io/forwarding-mode=dsr');
  await lab.must('kubectl', 'patch', 'service', 'web', '-p', '{"spec":{"type":"LoadBalancer"}}');
  const status = { status: { loadBalancer: { ingress: [{ ip: BALANCER }] } } };
  const patch = ['--subresource=status', '--type=merge', '-p', JSON.stringify(status)];
  await lab.must('kubectl', 'patch', 'service', 'web', ...patch);
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  const lead = (node: (typeof nodes)[number]) =>
    lab.must('exec', 'router', '--', 'ip', 'route', 'replace', `${BALANCER}/32`, 'via', node.ipv4);
  await lead(first);
  const stream = `client tcp ${BALANCER} 80 --stream --count ${requests} --interval 50 --quiet --source-port $port`;
  const script = `for port in ${ports.slice(0, 24).join(' ')}; do ${stream} & done; wait`;
  const streams = lab.must('exec', 'client', '--', 'sh', '-c', script);
  // Longer at each than a client waits for an answer.
  for (const node of [third, second]) {
    await delay(2_500);
    await lead(node);
  }
  const text = await streams;
  const whole = [...text.matchAll(new RegExp(`answered=${requests} failed=0 hosts: (\\S+)=${requests}$`, 'gm'))];
  assert.equal(whole.length, 24, text);
  assert.equal(new Set(whole.map(([, pod]) => pod)).size, 6, 'all pods have clients');
});

async function untilPods(lab: TestLab, count: number): Promise<string[]> {
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(100)) {
    const names = await lab.must('kubectl', 'get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].metadata.name}');
    const pods = names.trim().split(' ');
    if (pods.length === count) return pods;
  }
  return assert.fail(`there are not ${count} pods after 30 s`);
}
