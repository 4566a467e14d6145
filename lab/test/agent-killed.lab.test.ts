// Needs root and a kernel that Sluice runs on. The long and harsh form of it: `npm run soak`.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { untilAgent, untilReady } from './agents.ts';
import { startClient } from './clients.ts';
import { configurationRows, settledRows } from './configuration-maps.ts';
import { testLab } from './test-lab.ts';

const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
/** Times three nodes: 21 kills. */
const rounds = 7;
/** What an agent may take (design, principle 9). */
const residentMibMax = 110;

test('agents killed with -9 at any moment: no connection breaks, no new one fails, the maps are equal', async () => {
  await using lab = testLab();
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=30s');
  const addresses = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}');
  const [web4 = '', web6 = ''] = addresses.split(' ');
  const nodes = nodeNames.map((name) => lab.layout.node(name));
  await Promise.all(nodes.map((node) => untilReady(node)));
  const before = await settledRows(nodes);
  const clients = [
    startClient(lab, 'near', ['tcp', web4, '--stream']),
    startClient(lab, 'far', ['tcp', web6, '--stream']),
    startClient(lab, 'far', ['tcp', web4]),
    startClient(lab, 'near', ['tcp', web6]),
    startClient(lab, 'far', ['udp', web4, '--unconnected']),
    startClient(lab, 'near', ['udp', web6]),
  ];
  for (let round = 0; round < rounds; round += 1) {
    for (const node of nodes) {
      await delay(Math.random() * 200);
      const killed = await untilAgent(node);
      process.kill(killed, 'SIGKILL');
      // In the middle of its start as often as when it is done.
      await (round % 2 === 0 ? untilAgent(node, killed) : untilReady(node, killed));
    }
  }
  await Promise.all(nodes.map((node) => untilReady(node)));
  for (const client of clients) {
    const text = await client.end();
    assert.match(text, /sent=(\d{2,}) answered=\1 failed=0/, client.what);
  }
  for (const [index, node] of nodes.entries()) assert.deepEqual(configurationRows(node), before[index], node.name);
  for (const node of nodes) {
    await lab.must('exec', node.name, '--', 'sluice', 'status', '--verbose');
    const resident = residentMib(await untilAgent(node));
    assert.ok(resident < residentMibMax, `the agent of ${node.name} takes ${resident} MiB`);
  }
});

function residentMib(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}
