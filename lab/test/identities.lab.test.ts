// Needs root and a kernel that Sluice runs on. One lab of two nodes for all of these.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { BpfMap, type MapDescriptor, openMap } from '@sluice/bpf';
import { endpointsMap, ipcacheMap, netnsEndpointsMap } from '@sluice/datapath';
import { type Address, parseAddress } from '@sluice/net';
import { startClient } from './clients.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const kubectl = (...args: string[]) => lab.must('kubectl', ...args);
/** Of shop/web, on k8s-cp1. */
let web: { readonly ipv4: Address; readonly ipv6: Address };

before(async () => {
  await lab.must('up', '--nodes', '2');
  await kubectl('create', '-f', join(import.meta.dirname, 'identities.yaml'));
  await kubectl('-n', 'shop', 'wait', '--for=condition=Ready', 'pod/web', 'pod/client', '--timeout=30s');
  const ips = await kubectl('-n', 'shop', 'get', 'pod', 'web', '-o', 'jsonpath={.status.podIPs[*].ip}');
  const [ipv4 = '', ipv6 = ''] = ips.split(' ');
  web = { ipv4: parseAddress(ipv4), ipv6: parseAddress(ipv6) };
});
after(() => lab[Symbol.asyncDispose]());

function lookup<Key, Value>(node: string, descriptor: MapDescriptor<Key, Value>, key: Key): Value | undefined {
  using map = BpfMap.openPinned(join(lab.layout.node(node).bpffs, 'sluice/maps', descriptor.name));
  return openMap(map, descriptor).lookup(key);
}

/** What the kernels say of shop/web: of its node both maps and both families, and of the other node. */
function inKernels(): number[] {
  using map = BpfMap.openPinned(join(lab.layout.node('k8s-cp1').bpffs, 'sluice/maps', netnsEndpointsMap.name));
  const namespaces = [...openMap(map, netnsEndpointsMap).entries()].map(([, row]) => row);
  return [
    namespaces.find((row) => row.ipv4 === web.ipv4)?.identity,
    ...[web.ipv4, web.ipv6].flatMap((address) => [
      lookup('k8s-cp1', endpointsMap, address)?.identity,
      lookup('k8s-cp2', ipcacheMap, address)?.identity,
    ]),
  ].map((identity) => identity ?? 0);
}

/** The number that all kernels agree on, once it is another one. */
async function untilAnother(than: number): Promise<number> {
  const deadline = performance.now() + 20_000;
  while (performance.now() < deadline) {
    const [first = 0, ...others] = inKernels();
    if (first > 255 && first !== than && others.every((other) => other === first)) return first;
    await delay(20);
  }
  return assert.fail(`still ${inKernels()}`);
}

async function labelsOf(identity: number): Promise<Record<string, string>> {
  const object = JSON.parse(await kubectl('get', 'ciliumidentity', String(identity), '-o', 'json'));
  return object['security-labels'];
}

test('a pod has the identity of its labels in the kernel of each node, and its slice names its node', async () => {
  const identity = await untilAnother(0);
  const labels = await labelsOf(identity);
  assert.equal(labels['k8s:app'], 'web');
  assert.equal(labels['k8s:io.kubernetes.pod.namespace'], 'shop');
  assert.equal(labels['k8s:io.cilium.k8s.namespace.labels.team'], 'a');
  const slices = await kubectl('get', 'ciliumendpointslices', '--no-headers', '-o', 'custom-columns=:metadata.name');
  assert.match(slices, /^k8s-cp1\.shop\.0$/m);
  assert.match(slices, /^k8s-cp2\.shop\.0$/m);
});

test('labels of a pod and of its namespace are followed by all kernels, and no packet is lost', async () => {
  const clients = [
    startClient(lab, 'shop/client', ['tcp', web.ipv4, '--stream'], { port: 8080 }),
    startClient(lab, 'shop/client', ['tcp', web.ipv6], { port: 8080 }),
    startClient(lab, 'shop/client', ['udp', web.ipv4], { port: 8080 }),
  ];
  await delay(300);
  const first = await untilAnother(0);
  await kubectl('-n', 'shop', 'label', 'pod', 'web', 'tier=gold');
  const second = await untilAnother(first);
  assert.equal((await labelsOf(second))['k8s:tier'], 'gold');
  await kubectl('label', 'namespace', 'shop', 'team=b', '--overwrite');
  const third = await untilAnother(second);
  assert.equal((await labelsOf(third))['k8s:io.cilium.k8s.namespace.labels.team'], 'b');
  await kubectl('-n', 'shop', 'label', 'pod', 'web', 'tier-');
  await kubectl('label', 'namespace', 'shop', 'team=a', '--overwrite');
  await untilAnother(third);
  await delay(500);
  assert.equal(await untilAnother(0), first, 'the same labels are the same number');
  for (const client of clients) assert.match(await client.end(), /sent=(\d{2,}) answered=\1 failed=0/, client.what);
});

test('an identity in use that somebody deletes comes back, and the kernels never lose it', async () => {
  const identity = await untilAnother(0);
  await kubectl('delete', 'ciliumidentity', String(identity));
  await kubectl('wait', '--for=create', `ciliumidentity/${identity}`, '--timeout=10s');
  assert.deepEqual(new Set(inKernels()), new Set([identity]));
});

test('the command line tells who is who on either node', async () => {
  const identity = await untilAnother(0);
  const seen = async (node: string, ...words: string[]) =>
    JSON.parse(await lab.must('exec', node, '--', 'sluice', ...words, '-o', 'json'));
  const [own] = (await seen('k8s-cp1', 'endpoint', 'list')).filter((row: { ipv4: string }) => row.ipv4 === web.ipv4);
  assert.deepEqual(
    [own.identity, own.labels.includes('k8s:app=web'), own.hostPorts[0].hostPort],
    [identity, true, 8088],
  );
  const [remote] = (await seen('k8s-cp2', 'ip', 'list')).filter((row: { pod?: string }) => row.pod === 'shop/web');
  const { source, node, prefix, labels } = remote;
  assert.deepEqual([source, node, prefix, remote.identity], ['slice', 'k8s-cp1', `${web.ipv4}/32`, identity]);
  assert.ok(labels.includes('k8s:app=web'));
  const known = (await seen('k8s-cp2', 'identity', 'list')).map((row: { identity: number }) => row.identity);
  for (const each of [1, 6, identity]) assert.ok(known.includes(each), `${each}`);
});

test('a host port is served as soon as its pod is there, and stands in the table of frontends', async () => {
  const table = await lab.must('exec', 'k8s-cp1', '--', 'sluice', 'service', 'list');
  assert.match(table, /10\.10\.30\.101:8088\/TCP +HostPort +shop\/web:host-port .*done/);
});

test('a slice that says what it may not is refused in the status, and the rest goes on', async () => {
  const node = JSON.parse(await kubectl('get', 'node', 'k8s-cp1', '-o', 'json'));
  const owner = `{apiVersion: v1, kind: Node, name: k8s-cp1, uid: ${node.metadata.uid}}`;
  const endpoints = `[{name: thief, id: 4711, networking: {addressing: [{ipv4: 10.10.30.102}]}}]`;
  const path = join(lab.layout.directory, 'thief.yaml');
  writeFileSync(
    path,
    [
      'apiVersion: cilium.io/v2alpha1',
      'kind: CiliumEndpointSlice',
      `metadata: {name: thief, ownerReferences: [${owner}]}`,
      'namespace: shop',
      `endpoints: ${endpoints}`,
    ].join('\n'),
  );
  const deadline = performance.now() + 20_000;
  for (let table = ''; !/10\.10\.30\.102 of thief: not among the pods of node k8s-cp1/.test(table); await delay(50)) {
    assert.ok(performance.now() < deadline, table);
    // Again, where its node has been quicker than this look.
    await kubectl('apply', '-f', path);
    table = await lab.must('exec', 'k8s-cp2', '--', 'sluice', 'table', 'ipcache');
  }
  // Its node finds a slice that it did not write, and removes it after some seconds.
  await kubectl('wait', '--for=delete', 'ciliumendpointslice/thief', '--timeout=30s');
  assert.equal(lookup('k8s-cp2', endpointsMap, parseAddress('10.10.30.102'))?.identity, 1, 'the node is itself');
});

test('what a node has published goes when its Node goes', async () => {
  await lab.must('kubectl', 'delete', 'node', 'k8s-cp2');
  await kubectl('wait', '--for=delete', 'ciliumendpointslice/k8s-cp2.shop.0', '--timeout=60s');
});
