// Needs root and a kernel that Sluice runs on. Backends that go away under their clients. One lab for all of these.
import assert from 'node:assert/strict';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { installationRoot } from '@sluice/runtime';
import { startClient } from './clients.ts';
import { testLab } from './test-lab.ts';

const lab = testLab();
const directory = mkdtempSync(join(tmpdir(), 'gone-backends-'));
const objects = join(import.meta.dirname, 'gone-backends.yaml');
const patienceMs = 20_000;
let addresses: readonly string[];

before(async () => {
  const values = join(directory, 'values.yaml');
  writeFileSync(values, 'socketLB:\n  terminateAllProtocols: true\n');
  await lab.must('up', '--values', values);
  await lab.must('kubectl', 'create', '-f', objects);
  await lab.must('kubectl', 'wait', '--for=condition=Ready', 'pod/first', 'pod/second', 'pod/asker', '--timeout=30s');
  const found = await lab.must('kubectl', 'get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIPs[*]}');
  addresses = found.trim().split(' ');
});
after(async () => {
  rmSync(directory, { recursive: true });
  await lab[Symbol.asyncDispose]();
});
beforeEach(async () => {
  await lab.must('kubectl', 'label', 'pod', 'second', 'app=web', '--overwrite');
  await until('both pods serve on both nodes', async () => {
    const shown = await Promise.all(['k8s-cp1', 'k8s-cp2'].map((node) => services(node)));
    return shown.every((text) => text.filter((line) => /\/(TCP|UDP), \S+\/(TCP|UDP) {3}/.test(line)).length === 4);
  });
});

async function services(node: string): Promise<string[]> {
  const shown = await lab.must('exec', node, '--', 'sluice', 'service', 'list');
  return shown.split('\n').filter((line) => line.includes('default/web:'));
}

async function until(what: string, look: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + patienceMs; performance.now() < end; await delay(100)) if (await look()) return;
  assert.fail(`${what}: not after ${patienceMs} ms`);
}

for (const [from, what] of [
  ['asker', 'a pod'],
  ['k8s-cp1', 'a process of the node'],
] as const) {
  for (const protocol of ['udp', 'tcp'] as const) {
    test(`${what} whose connected socket (${protocol}) a service has led to a pod is told when that is no endpoint any more`, async () => {
      // Many sockets: half of them are led there. The pod lives on, and would answer.
      const clients = Array.from({ length: 8 }, (_, index) =>
        startClient(lab, from, [protocol, addresses[index % 2] ?? '', '--stream'], { intervalMs: 100 }),
      );
      await delay(1_500);
      await lab.must('kubectl', 'label', 'pod', 'second', 'app-');
      await delay(4_000);
      const texts = await Promise.all(clients.map((client) => client.end()));
      const ended = texts.filter((text) => / hosts: second=/.test(text));
      assert.ok(ended.length > 0, `nobody of ${clients.length} was led to it`);
      for (const text of texts) {
        if (ended.includes(text))
          assert.match(text, /^failed .*(Software caused connection abort|Destination address required)/, text);
        else assert.match(text, /failed=0 hosts: first=\d+$/, text);
      }
      const asked = ['client', protocol, addresses[0] ?? '', '80', '--count', '20', '--end-on-failure'];
      assert.match(await lab.must('exec', from, '--', ...asked), /answered=20 failed=0 hosts: first=20/);
    });
  }
}

test('a pod that CNI has deleted leaves the services of its node, though the API says nothing of it', async () => {
  // Who is told nothing any more: the API server is away for the agents.
  await lab.must('exec', 'k8s-cp1', '--', 'ip', 'route', 'add', 'blackhole', '10.10.30.10/32');
  try {
    const before = await services('k8s-cp1');
    assert.equal(before.filter((line) => line.includes('10.244.0.')).length, 2, before.join('\n'));
    await deleteNetworkOf('first');
    await until('the services have one backend', async () =>
      (await services('k8s-cp1')).every((line) => !/10\.244\.0\.|fd00:10:244::/.test(line)),
    );
    const asked = ['client', 'tcp', addresses[0] ?? '', '80', '--count', '20', '--timeout', '500'];
    assert.match(await lab.must('exec', 'asker', '--', ...asked), /answered=20 failed=0 hosts: second=20/);
  } finally {
    await lab.must('exec', 'k8s-cp1', '--', 'ip', 'route', 'del', 'blackhole', '10.10.30.10/32');
  }
});

/** As a container runtime does it that nobody has to tell: its own pod's processes have ended. */
async function deleteNetworkOf(pod: string): Promise<void> {
  const { stateDirectory, cniSocket } = lab.layout.node('k8s-cp1');
  const files = globSync(join(stateDirectory, 'endpoints/*.json')).map((path) =>
    JSON.parse(readFileSync(path, 'utf8')),
  );
  const { containerId, ifname } = files.find((file) => file.pod?.name === pod);
  const environment = `CNI_COMMAND=DEL CNI_CONTAINERID=${containerId} CNI_IFNAME=${ifname} CNI_PATH=/ CNI_NETNS=`;
  const configuration = JSON.stringify({
    cniVersion: '1.1.0',
    name: 'sluice',
    type: 'sluice-cni',
    agentSocket: cniSocket,
  });
  const plugin = join(installationRoot(), 'dist/bin/sluice-cni');
  await lab.must('exec', 'k8s-cp1', '--', 'sh', '-c', `printf '%s' '${configuration}' | ${environment} ${plugin}`);
}
