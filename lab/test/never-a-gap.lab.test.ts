// Needs root and a kernel that Sluice runs on. Many connections, and new ones all the time, from a pod and from outside, while
// what leads them changes. The long form: `npm run soak`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createKubeClient, type KubeClient, kubeConfiguration, resources } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { untilAgent, untilReady } from './agents.ts';
import type { Client } from './clients.ts';
import { startCrowd } from './crowds.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
const NODE = '10.10.30.101';
/** Of each of the two crowds. */
const kept = 1_000;
const rate = 100;
let api: KubeClient;
let web: string;
let replaced: string;

before(async () => {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'never-a-gap.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', '--timeout=30s');
  [web = '', replaced = ''] = await Promise.all(
    ['web', 'replaced'].map((name) =>
      lab.must('kubectl', 'get', 'service', name, '-o', 'jsonpath={.spec.clusterIP}').then((text) => text.trim()),
    ),
  );
  api = createKubeClient(kubeConfiguration({ kubeconfig: lab.layout.kubeconfig }));
});
after(async () => {
  api?.[Symbol.dispose]();
  await lab[Symbol.asyncDispose]();
});

test('agents killed with -9 under 2,000 connections and new ones all the time: no reset, no timeout', async () => {
  const crowds = [
    startCrowd(lab, 'near', [web, 80], { kept, rate }),
    startCrowd(lab, 'client', [NODE, 30_080], { kept, rate }),
  ];
  await delay(4_000);
  for (let round = 0; round < 3; round += 1) {
    for (const node of nodeNames.map((name) => lab.layout.node(name))) {
      const killed = await untilAgent(node);
      process.kill(killed, 'SIGKILL');
      // In the middle of its start as often as when it is done.
      await (round % 2 === 0 ? untilAgent(node, killed) : untilReady(node, killed));
    }
  }
  await Promise.all(nodeNames.map((name) => untilReady(lab.layout.node(name))));
  await delay(1_500);
  for (const crowd of crowds) await assertWhole(crowd, { kept, more: 4 * kept });
});

test('backends replaced a hundred times a second: nobody is refused, and nobody led to one that is gone', async () => {
  const found = await lab.must('kubectl', 'get', 'pods', '-l', 'app=web', '-o', 'jsonpath={.items[*].status.podIP}');
  const pods = found
    .trim()
    .split(' ')
    .filter((address) => address.includes('.'));
  assert.equal(pods.length, 6);
  await api.create(resources.endpointSlices, sliceOf(pods.slice(0, 3)), { namespace: 'default' });
  await untilServed(pods.slice(0, 3));
  const crowds = [
    startCrowd(lab, 'near', [replaced, 80], { rate }),
    startCrowd(lab, 'client', [NODE, 30_081], { rate }),
  ];
  const generation = await newestGeneration();
  const began = performance.now();
  const changes = 1_000;
  for (let change = 1; change <= changes; change += 1) {
    const chosen = [0, 1, 2].map((index) => pods[(index + change) % pods.length] ?? '');
    await api.patch(resources.endpointSlices, { namespace: 'default', name: 'replaced', patch: sliceOf(chosen) });
    await delay(Math.max(0, began + change * 10 - performance.now()));
  }
  for (const crowd of crowds) await assertWhole(crowd, { kept: 0, more: 500 });
  // Two rows each time, if no changes came together: a busy machine has fewer and larger ones.
  const written = (await newestGeneration()) - generation;
  assert.ok(written > changes / 4, `the kernel has seen ${written} generations of ${2 * changes}`);
  const last = [0, 1, 2].map((index) => pods[(index + changes) % pods.length] ?? '');
  await untilServed(last);
  for (const [from, address, port] of [
    ['near', replaced, '80'],
    ['client', NODE, '30081'],
  ] as const) {
    const asked = await lab.must('exec', from, '--', 'client', 'tcp', address, port, '--count', '200');
    const met = new Set([...asked.matchAll(/ local=([\d.]+):8080 data/g)].map(([, pod]) => pod));
    assert.deepEqual([...met].sort(), [...last].sort(), `${from}: ${asked.slice(-200)}`);
  }
});

async function assertWhole(crowd: Client, least: { readonly kept: number; readonly more: number }): Promise<void> {
  const text = await crowd.end();
  const [, there, asked, fresh] = /^kept=(\d+) asked=(\d+) failed=0 new=(\d+) failed=0$/m.exec(text) ?? [];
  assert.ok(there !== undefined, `${crowd.what}\n${text}`);
  assert.equal(Number(there), least.kept, crowd.what);
  assert.ok(Number(asked) + Number(fresh) >= least.more, `${crowd.what}: ${text}`);
}

function sliceOf(addresses: readonly string[]) {
  return {
    metadata: { name: 'replaced', labels: { 'kubernetes.io/service-name': 'replaced' } },
    addressType: 'IPv4',
    ports: [{ name: 'tcp', protocol: 'TCP', port: 8080 }],
    endpoints: addresses.map((address) => ({ addresses: [address], conditions: { ready: true } })),
  };
}

/** On the node that is asked: its agent says that the kernel has these. */
async function untilServed(addresses: readonly string[]): Promise<void> {
  const wanted = [...addresses].sort().join();
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(100)) {
    const shown = await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'service', 'list', '-o', 'json');
    const rows = (JSON.parse(shown) as FrontendRow[]).filter(({ service }) => service === 'default/replaced');
    const served = rows.map(({ state, backends }) =>
      state === 'done'
        ? backends
            .map(({ key }) => key.replace(/:.*/, ''))
            .sort()
            .join()
        : state,
    );
    if (served.length === 2 && served.every((each) => each === wanted)) return;
  }
  assert.fail(`not served by ${wanted} after 30 s`);
}

/** They are numbered over all frontends. */
async function newestGeneration(): Promise<number> {
  const rows = JSON.parse(await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'map', 'dump', 'frontends', '-o', 'json'));
  return Math.max(...rows.map(({ value }: { value: { generation: number } }) => value.generation));
}
