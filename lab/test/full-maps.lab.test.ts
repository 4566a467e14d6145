// Needs root and a kernel that Sluice runs on.
import assert from 'node:assert/strict';
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
  slotsMap,
} from '@sluice/datapath';
import type { NodeLayout } from '@sluice/lab';
import { untilReady } from './agents.ts';
import { startClient } from './clients.ts';
import { testLab } from './test-lab.ts';

/** Every map whose rows are wanted by somebody: when it is full, something cannot be served. */
const configurationMaps = [
  backendsMap,
  endpointsMap,
  frontendsMap,
  ipcacheMap,
  ipcachePrefixMap,
  netnsEndpointsMap,
  slotsMap,
] as const;

test('maps that are full refuse what is new, by name, and nothing that is there; with room again all is served', async () => {
  await using lab = testLab();
  await lab.must('up', '--nodes', '2');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'agent-killed.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', 'pod/far', '--timeout=60s');
  const node = lab.layout.node('k8s-cp1');
  await untilReady(node);
  const web = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  const statusText = async () => (await lab.run('exec', 'k8s-cp1', '--', 'sluice', 'status')).stdout;
  await until('well', async () => (await lab.run('exec', 'k8s-cp1', '--', 'sluice', 'status')).status === 0);
  const clients = [startClient(lab, 'near', ['tcp', web]), startClient(lab, 'near', ['tcp', web, '--stream'])];

  const fillings = configurationMaps.map((descriptor) => fill(node, descriptor as MapDescriptor<unknown, unknown>));
  for (const { name } of configurationMaps)
    assert.match(await statusText(), new RegExp(`maps: Degraded: .*${name} has `));
  await lab.must('kubectl', 'expose', 'deployment', 'web', '--name=late', '--port=80', '--target-port=8080');
  await lab.must('kubectl', 'run', 'late-here', '--image=sluice-lab/echo', '--overrides', onNode('k8s-cp1'));
  await lab.must('kubectl', 'run', 'late-there', '--image=sluice-lab/echo', '--overrides', onNode('k8s-cp2'));
  await until('the service is refused by name', async () =>
    /services: Degraded: .*default\/late: .*map \w+, which is full/.test(await statusText()),
  );
  await until("another node's pod is refused by name", async () =>
    /reconcile-ipcache: Degraded: .*map ipcache, which is full/.test(await statusText()),
  );
  await until('the pod is refused by name', async () =>
    /sluice-cni ADD: .*map endpoints, which is full/.test(await lab.must('kubectl', 'get', 'events')),
  );

  for (const filling of fillings) filling[Symbol.dispose]();
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/late-here', 'pod/late-there', '--timeout=60s');
  const late = await lab.must('kubectl', 'get', 'service', 'late', '-o', 'jsonpath={.spec.clusterIP}');
  const connects = async () => (await lab.run('exec', 'near', '--', 'client', 'tcp', late, '80')).status === 0;
  await until('the late service is served', connects);
  await until('well again', async () => (await lab.run('exec', 'k8s-cp1', '--', 'sluice', 'status')).status === 0);
  for (const client of clients) {
    const text = await client.end();
    assert.match(text, /sent=(\d{2,}) answered=\1 failed=0/, client.what);
  }
});

function onNode(nodeName: string): string {
  return JSON.stringify({ spec: { nodeName } });
}

/** Rows of nobody until the map has no room; disposing takes them away. */
function fill<Key, Value>(node: NodeLayout, descriptor: MapDescriptor<Key, Value>): Disposable {
  const path = join(node.bpffs, 'sluice/maps', descriptor.name);
  using pinned = BpfMap.openPinned(path);
  const map = openMap(pinned, descriptor);
  const [row] = map.entries();
  assert.ok(row, `${descriptor.name} is empty`);
  const made: Key[] = [];
  for (let number = 0; number <= pinned.info.maxEntries; number += 1) {
    const key = strangeKey(descriptor, number);
    try {
      map.update(key, row[1], 'create');
      made.push(key);
    } catch (error) {
      if (error instanceof Error && /which is full/.test(error.message)) break;
      throw error;
    }
  }
  assert.ok(made.length > pinned.info.maxEntries / 2, `${descriptor.name}: ${made.length} rows`);
  return {
    [Symbol.dispose]() {
      using again = BpfMap.openPinned(path);
      openMap(again, descriptor).deleteBatch(made);
    },
  };
}

/** Bytes that no key of ours has, made a key by the map's own codec. */
function strangeKey<Key>({ name, key }: MapDescriptor<Key, unknown>, number: number): Key {
  const view = new DataView(new ArrayBuffer(key.size));
  if (key.size === 4) view.setUint32(0, 0x8000_0000 + number, true);
  else view.setUint32(key.size - 4, number);
  const isPrefix = name === 'ipcache_prefix';
  if (isPrefix) view.setUint32(0, 8 * (key.size - 4), true);
  if (key.size > 4) view.setUint16(isPrefix ? 4 : 0, 0xfdee);
  return key.decode(view, 0);
}

const patienceMs = 60_000;

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + patienceMs;
  while (!(await look())) {
    assert.ok(performance.now() < deadline, `not within ${patienceMs} ms: ${what}`);
    await delay(200);
  }
}
