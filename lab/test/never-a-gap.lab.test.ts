// Needs root and a kernel that Sluice runs on. Many connections, and new ones all the time, from a pod and from outside, while
// what leads them changes. The long form: `npm run soak`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { createKubeClient, type KubeClient, kubeConfiguration, resources } from '@sluice/kube';
import type { FrontendRow } from '@sluice/loadbalancer';
import { formatAddressPort, parseAddress } from '@sluice/net';
import { askAgent, untilAgent, untilReady } from './agents.ts';
import type { Client } from './clients.ts';
import { type MetBackend, metBackends, startCrowd } from './crowds.ts';
import { Replacements } from './replacements.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const nodeNames = ['k8s-cp1', 'k8s-cp2', 'k8s-cp3'];
const NODE = '10.10.30.101';
const NODE_IPV6 = 'fd00:10:10:30::101';
/** Of each of the two crowds. */
const kept = 1_000;
const rate = 100;
/** Changes that may be asked for without being known to be in the kernel. */
const openMax = 4;
const families = [4, 6] as const;
type Family = (typeof families)[number];
type Target = readonly [address: string, port: number];

const placeOf = (address: string, port: number) => `${formatAddressPort(parseAddress(address), port)}/TCP`;

/** By the service's addresses: the row of the agent's table, and who asks where. */
const ways = families.flatMap((family, index) => [
  {
    row: (addresses: readonly string[]) => placeOf(addresses[index] ?? '', 80),
    ...{ from: 'near', target: (addresses: readonly string[]): Target => [addresses[index] ?? '', 80] },
  },
  {
    row: () => placeOf(family === 4 ? '0.0.0.0' : '::', 30_081),
    ...{ from: 'client', target: (): Target => [family === 4 ? NODE : NODE_IPV6, 30_081] },
  },
]);

let api: KubeClient;
let web: string;
let replaced: readonly string[];

before(async () => {
  await lab.must('up');
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'never-a-gap.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=60s');
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/near', '--timeout=30s');
  [[web = ''] = [], replaced = []] = await Promise.all(
    ['web', 'replaced'].map((name) =>
      lab
        .must('kubectl', 'get', 'service', name, '-o', 'jsonpath={.spec.clusterIPs[*]}')
        .then((text) => text.trim().split(' ')),
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

test('backends replaced a hundred times a second: nobody is refused, and nobody led to one that is known to be gone', async (context) => {
  const pods = await podsOf('app=web');
  assert.equal(pods.length, 12);
  const podOf = new Map(pods.flatMap(({ name, addresses }) => addresses.map((at) => [placeOf(at, 8080), name])));
  const chosen = (change: number) => [0, 1, 2].map((index) => pods[(index + change) % pods.length] ?? assert.fail());
  const replacements = new Map<string, Replacements>();
  const look = async (): Promise<void> => {
    for (const row of await frontendsOf('default/replaced')) replacements.get(row.key)?.acknowledge(row, podOf);
  };
  const ask = async (change: number): Promise<void> => {
    for (const each of replacements.values()) each.ask(chosen(change).map(({ name }) => name));
    const write = change === 0 ? created : patched;
    await Promise.all(families.map((family) => write(sliceOf(family, chosen(change)))));
  };
  for (const { row } of ways) replacements.set(row(replaced), new Replacements());
  const open = () => Math.max(...[...replacements.values()].map((each) => each.open));
  const settle = async (most: number): Promise<void> => {
    for (const end = performance.now() + 30_000; open() > most; await look())
      assert.ok(performance.now() < end, `${open()} changes are not served after 30 s`);
  };
  await ask(0);
  await settle(0);
  const crowds = ways.map(({ row, from, target }) => ({
    row: row(replaced),
    crowd: startCrowd(lab, from, target(replaced), { rate: rate / 2, tells: true }),
  }));
  const generation = await newestGeneration();
  const began = performance.now();
  const changes = 1_000;
  for (let change = 1; change <= changes; change += 1) {
    await ask(change);
    // So that most pods are known to be gone at any time: who comes back does so nine changes later.
    do await look();
    while (open() > openMax);
    await delay(Math.max(0, began + change * 10 - performance.now()));
  }
  const seconds = (performance.now() - began) / 1_000;
  const known = [...replacements.values()].map((each) => each.acknowledgements);
  context.diagnostic(
    `${Math.round(changes / seconds)} changes a second, known to be in the kernel ${known.join(', ')} times`,
  );
  await settle(0);
  await delay(1_000);
  for (const { row, crowd } of crowds) {
    const met = metBackends(await assertWhole(crowd, { kept: 0, more: 250 }));
    assertLed(met, replacements.get(row) ?? assert.fail(), crowd.what);
  }
  // Two rows of a family each time, if no changes came together: a busy machine has fewer and larger ones.
  const written = (await newestGeneration()) - generation;
  assert.ok(written > changes / 2, `the kernel has seen ${written} generations of ${4 * changes}`);
});

/** Each connection met a backend of its time, and the last ones, who came when all was known, those of the last change. */
function assertLed(met: readonly MetBackend[], replacements: Replacements, what: string): void {
  assert.ok(met.length > 250, `${what}: ${met.length} have told`);
  for (const each of met) {
    const allowed = replacements.allowed(each);
    assert.ok(allowed.has(each.pod), `${what}: ${each.pod}, of ${[...allowed].join()}: ${JSON.stringify(each)}`);
  }
  const narrow = met.filter((each) => replacements.allowed(each).size < 12);
  assert.ok(narrow.length > met.length / 10, `${what}: of ${narrow.length} of ${met.length} it can be told`);
}

async function assertWhole(crowd: Client, least: { readonly kept: number; readonly more: number }): Promise<string> {
  const text = await crowd.end();
  const [, there, asked, fresh] = /^kept=(\d+) asked=(\d+) failed=0 new=(\d+) failed=0$/m.exec(text) ?? [];
  assert.ok(there !== undefined, `${crowd.what}\n${text}`);
  assert.equal(Number(there), least.kept, crowd.what);
  assert.ok(Number(asked) + Number(fresh) >= least.more, `${crowd.what}: ${text}`);
  return text;
}

interface EchoPod {
  readonly name: string;
  readonly addresses: readonly string[];
}

async function podsOf(selector: string): Promise<EchoPod[]> {
  const { items } = JSON.parse(await lab.must('kubectl', 'get', 'pods', '-l', selector, '-o', 'json'));
  return items.map(({ metadata, status }: { metadata: { name: string }; status: { podIPs: { ip: string }[] } }) => ({
    name: metadata.name,
    addresses: status.podIPs.map(({ ip }) => ip),
  }));
}

function sliceOf(family: Family, pods: readonly EchoPod[]) {
  const isOurs = (address: string) => address.includes(':') === (family === 6);
  return {
    metadata: { name: `replaced-${family}`, labels: { 'kubernetes.io/service-name': 'replaced' } },
    addressType: `IPv${family}`,
    ports: [{ name: 'tcp', protocol: 'TCP', port: 8080 }],
    endpoints: pods.map(({ addresses }) => ({ addresses: addresses.filter(isOurs), conditions: { ready: true } })),
  };
}

type Slice = ReturnType<typeof sliceOf>;
const created = (slice: Slice) => api.create(resources.endpointSlices, slice, { namespace: 'default' });
const patched = (slice: Slice) =>
  api.patch(resources.endpointSlices, { namespace: 'default', name: slice.metadata.name, patch: slice });

/** On the node that is asked, as its agent tells them. */
async function frontendsOf(service: string): Promise<FrontendRow[]> {
  const lines = (await askAgent(lab.layout.node('k8s-cp1'), '/tables/frontends')).trim().split('\n');
  const rows = lines.map((line): FrontendRow | undefined => JSON.parse(line).row);
  return rows.filter((row) => row !== undefined).filter((row) => row.service === service);
}

/** They are numbered over all frontends. */
async function newestGeneration(): Promise<number> {
  const rows = JSON.parse(await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'map', 'dump', 'frontends', '-o', 'json'));
  return Math.max(...rows.map(({ value }: { value: { generation: number } }) => value.generation));
}
