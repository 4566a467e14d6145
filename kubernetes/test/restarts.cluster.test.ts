// The node's own software ends and comes back. Run by `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, kubectlJson, must, on, start, stop } from '../cluster.ts';
import { namespace as system, untilReady } from '../install.ts';
import { type Pod, podsOf, tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { pod, testNamespace, web } from './workload.ts';

const url = (name: string, namespace: string) => `http://${name}.${namespace}.svc.cluster.local/hostname`;

for (const [what, end] of [
  ['the kubelet', () => restart('kubelet')],
  ['containerd', () => restart('containerd')],
  ['the agent, by SIGKILL', killAgent],
] as const) {
  test(`${what} is killed and comes back: pods stay as they are, no request fails, new pods start`, async () => {
    await using namespace = await testNamespace('story-restart');
    await web({ namespace: namespace.name, name: 'web', replicas: 3 });
    await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
    const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url: url('web', namespace.name) });
    const before = await addressesOf(namespace.name);
    await end();
    await pod({ namespace: namespace.name, name: 'late', node: 'n1' });
    await namespace.kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=90s');
    await traffic.mustBeWhole();
    const after = await addressesOf(namespace.name);
    assert.deepEqual(Object.fromEntries(Object.keys(before).map((name) => [name, after[name]])), before);
    await tablesEqualApi();
  });
}

async function restart(component: string): Promise<void> {
  await stop('n1', component, 'KILL');
  await start('n1', component);
}

async function killAgent(): Promise<void> {
  await on('n1', 'sh', '-c', "kill -9 $(pgrep -f '^/opt/sluice/bin/node .*/agent.js')");
}

async function addressesOf(namespace: string): Promise<Record<string, readonly string[]>> {
  const { items } = await kubectlJson<{ items: Pod[] }>('--namespace', namespace, 'get', 'pods');
  return Object.fromEntries(
    items.map(({ metadata, status }) => [metadata.name, (status.podIPs ?? []).map(({ ip }) => ip)]),
  );
}

test('a node loses its power and boots: its pods come back, others reach them, nothing of before is left', async () => {
  await using namespace = await testNamespace('story-reboot');
  await web({ namespace: namespace.name, name: 'web', replicas: 6 });
  await pod({ namespace: namespace.name, name: 'client', node: 'n1' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/client', '--timeout=60s');
  assert.ok((await podsOf('n2')).length > 0);
  await powerOff('n2');
  await start('n2', 'containerd');
  await eventually(30, () => on('n2', 'sh', '-c', 'test -S /run/containerd/containerd.sock'));
  await start('n2', 'kubelet');
  await eventually(90, async () => {
    const { items } = await kubectlJson<{ items: Pod[] }>('get', 'pods', '-A', '--field-selector', 'spec.nodeName=n2');
    const agent = items.find(({ metadata }) => metadata.namespace === system && metadata.name.startsWith('sluice-'));
    assert.ok(agent, 'the agent of n2');
  });
  await untilReady();
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=90s');
  const { items } = await kubectlJson<{ items: Pod[] }>('--namespace', namespace.name, 'get', 'pods', '-l', 'app=web');
  for (const { status } of items)
    for (const { ip } of status.podIPs ?? []) {
      const host = ip.includes(':') ? `[${ip}]` : ip;
      await eventually(20, async () =>
        assert.match(await namespace.exec('client', 'curl', '-sS', '-m', '3', `http://${host}:8080/hostname`), /^web-/),
      );
    }
  await tablesEqualApi(150);
});

/** Every process but the machine's first, and all that lives in memory: /run, bpffs, devices, routes of ours. */
async function powerOff(node: string): Promise<void> {
  await on(
    node,
    'sh',
    '-c',
    'for i in 1 2 3; do for p in $(ps -eo pid= | grep -vx " *1"); do [ $p = $$ ] || kill -9 $p 2>/dev/null; done; sleep 0.2; done; true',
  );
  await on(
    node,
    'sh',
    '-c',
    `awk '$2 ~ "^/(run|var/lib/kubelet)/" {print $2}' /proc/mounts | tac | while read mount; do umount -l "$mount"; done
     find /run -mindepth 1 -maxdepth 1 ! -name sysctl -exec rm -rf {} +
     umount /sys/fs/bpf; mount -t bpf bpf /sys/fs/bpf
     for device in $(ip -o link | sed -n 's/^[0-9]*: \\(sl[^@:]*\\)[@:].*/\\1/p'); do ip link delete "$device" 2>/dev/null; done; true`,
  );
  // The machine's cgroups live in memory, too.
  await must('sh', [
    '-c',
    `find /sys/fs/cgroup/*/*/${node}/kubepods -depth -type d -exec rmdir {} + 2>/dev/null; true`,
  ]);
}
