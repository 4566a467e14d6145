// Needs root and a kernel that Sluice runs on.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import {
  backendsMap,
  endpointsMap,
  frontendsMap,
  ipcacheMap,
  ipcachePrefixMap,
  netnsEndpointsMap,
  reverseNatsMap,
  slotsMap,
} from '@sluice/datapath';
import type { NodeLayout } from '@sluice/lab';
import { installationRoot } from '@sluice/runtime';
import { untilAgent, untilReady } from './agents.ts';
import { type TestLab, testLab } from './test-lab.ts';

const sluice = join(installationRoot(), 'bin/sluice');
const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
/** Times three nodes: 21 kills. */
const rounds = 7;
/** What an agent may take (design, principle 9). */
const residentMibMax = 110;

/** What must be the same after a restart; connection tables simply go on. */
const wholeMaps = [
  backendsMap,
  endpointsMap,
  frontendsMap,
  ipcacheMap,
  ipcachePrefixMap,
  netnsEndpointsMap,
  reverseNatsMap,
] as const;

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
  const before = nodes.map(dump);
  const clients = [
    ask(lab, 'near', 'tcp', web4, '--stream'),
    ask(lab, 'far', 'tcp', web6, '--stream'),
    ask(lab, 'far', 'tcp', web4),
    ask(lab, 'near', 'tcp', web6),
    ask(lab, 'far', 'udp', web4, '--unconnected'),
    ask(lab, 'near', 'udp', web6),
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
  for (const [index, node] of nodes.entries()) assert.deepEqual(dump(node), before[index], node.name);
  for (const node of nodes) {
    await lab.must('exec', node.name, '--', 'sluice', 'status', '--verbose');
    const resident = residentMib(await untilAgent(node));
    assert.ok(resident < residentMibMax, `the agent of ${node.name} takes ${resident} MiB`);
  }
});

function residentMib(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]) / 1024);
}

/** A client that goes on until it is ended; then its output, the summary last. */
function ask(lab: TestLab, podName: string, ...words: [protocol: string, address: string, ...options: string[]]) {
  const [protocol, address, ...options] = words;
  const command = ['client', protocol, address, '80', '--count', '0', '--interval', '5', '--quiet', ...options];
  const args = ['lab', 'exec', '--name', lab.name, podName, '--', ...command];
  const child = spawn(sluice, args, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  let text = '';
  child.stdout.setEncoding('utf8');
  child.stdout.on('data', (chunk: string) => {
    text += chunk;
  });
  const closed = new Promise<void>((resolve) => child.stdout.once('close', resolve));
  return {
    what: `${podName}: ${command.join(' ')}`,
    async end(): Promise<string> {
      // The whole group: the command line, and the client in the pod.
      if (child.pid) process.kill(-child.pid, 'SIGINT');
      await closed;
      return text;
    },
  };
}

/** Every row of the configuration maps as text, sorted; of the slots those in use, not those in their grace. */
function dump(node: NodeLayout): Record<string, string[]> {
  const inUse = new Set(read(node, frontendsMap).map(([, { serviceId, generation }]) => `${serviceId}.${generation}`));
  const slots = read(node, slotsMap).filter(([key]) => inUse.has(`${key.serviceId}.${key.generation}`));
  return {
    slots: textOf(slots),
    ...Object.fromEntries(wholeMaps.map((descriptor) => [descriptor.name, textOf(read(node, descriptor as never))])),
  };
}

function read<Key, Value>(node: NodeLayout, descriptor: MapDescriptor<Key, Value>): [Key, Value][] {
  using map = BpfMap.openPinned(join(node.bpffs, 'sluice/maps', descriptor.name));
  return [...openMap(map, descriptor).entries()];
}

function textOf(rows: readonly unknown[]): string[] {
  return rows.map((row) => JSON.stringify(row, plain)).sort();
}

function plain(_: string, value: unknown): unknown {
  return typeof value === 'bigint' ? String(value) : value;
}
