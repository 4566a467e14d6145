// Needs root and a kernel that Sluice runs on.
import assert from 'node:assert/strict';
import { mkdtempDisposableSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { inNetworkNamespace } from '@sluice/ffi';
import { openNetlink } from '@sluice/netlink';
import { setOffload } from '@sluice/testing';
import { untilAgent, untilReady } from './agents.ts';
import { type TestLab, testLab } from './test-lab.ts';

const asked = { name: 'k8s-cp1', addresses: ['10.10.30.101', 'fd00:10:10:30::101'] } as const;
const NODE_PORT = 30_080;
const requests = 400;

/** As between machines: packets have whole checksums, and the cable's other end takes frames. */
function makeCablesReal(lab: TestLab): void {
  for (const place of ['client', 'router', 'lan', 'k8s-cp1', 'k8s-cp2']) {
    const namespace = lab.layout.netns(place);
    using netlink = openNetlink({ namespace });
    const cables = netlink.links.list().filter(({ kind, name }) => kind === 'veth' && !/^(slc|sluice_)/.test(name));
    inNetworkNamespace(namespace, () => {
      for (const { name } of cables) {
        setOffload(name, 'transmitChecksums', false);
        setOffload(name, 'receiveMerging', true);
      }
    });
  }
}

/** Packets that XDP has sent, by way. */
async function framesOf(lab: TestLab): Promise<Record<string, number>> {
  const text = await lab.must('exec', asked.name, '--', 'sluice', 'metrics', 'list');
  const found = [...text.matchAll(/^sluice_xdp_forward_count_total +way=(\w+) +(\d+)/gm)];
  return Object.fromEntries(found.map(([, way, count]) => [way, Number(count)]));
}

async function untilStatus(lab: TestLab, pattern: RegExp): Promise<void> {
  let text = '';
  for (const end = performance.now() + 30_000; performance.now() < end; await delay(200)) {
    text = (await lab.run('exec', asked.name, '--', 'sluice', 'status')).stdout;
    if (pattern.test(text)) return;
  }
  assert.fail(`the status does not become ${pattern}:\n${text}`);
}

test('XDP: clients outside reach pods of another node, and go on while the agent is killed', async () => {
  await using lab = testLab();
  using directory = mkdtempDisposableSync('/tmp/lab-values-');
  const values = join(directory.path, 'values.yaml');
  writeFileSync(values, 'loadBalancer: { acceleration: native }\n');
  await lab.must('up', '--nodes', '2', '--values', values);
  await lab.must('kubectl', 'create', '-f', join(import.meta.dirname, 'dsr.yaml'));
  await lab.must('kubectl', 'wait', '--for=condition=Available', 'deployment/web', '--timeout=30s');
  await untilStatus(lab, /XDP Acceleration: +native +eno1 native \(.*gro on/);
  makeCablesReal(lab);
  await untilStatus(lab, /XDP Acceleration: +native +eno1 native$/m);

  const before = await framesOf(lab);
  const stream = (protocol: string, address: string) =>
    `client ${protocol} ${address} ${NODE_PORT} --stream --count ${requests} --interval 10 --quiet`;
  const each = ['tcp', 'udp'].flatMap((protocol) => asked.addresses.map((address) => stream(protocol, address)));
  const streams = lab.must('exec', 'client', '--', 'sh', '-c', `${each.map((one) => `${one} &`).join(' ')} wait`);
  await delay(1_000);
  const killed = await untilAgent(lab.layout.node(asked.name));
  process.kill(killed, 'SIGKILL');
  const text = await streams;
  assert.equal([...text.matchAll(new RegExp(`answered=${requests} failed=0`, 'g'))].length, each.length, text);
  await untilReady(lab.layout.node(asked.name), killed);
  const after = await framesOf(lab);
  for (const way of ['tunnel', 'world']) {
    const sent = (after[way] ?? 0) - (before[way] ?? 0);
    assert.ok(sent > 0.9 * requests * each.length, `${way}: ${sent} of ${requests * each.length}`);
  }
  await untilStatus(lab, /^Drops: +none$/m);
});
