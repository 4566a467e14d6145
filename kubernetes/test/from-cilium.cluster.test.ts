// docs/migration.md, "From Cilium", typed on a node that looks as Cilium leaves one: Cilium itself cannot be had here. Run by
// `npm run test:kubernetes`.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { eventually, kubectl, kubectlJson, kubectlRun, nodeNames, on, onRun, root, sluice } from '../cluster.ts';
import { install, namespace as system, untilReady } from '../install.ts';
import { type Pod, tablesEqualApi } from './tables.ts';
import { startTraffic } from './traffic.ts';
import { pod, testNamespace, web } from './workload.ts';

const taint = 'node.cilium.io/agent-not-ready';
const configurations = '/etc/cni/net.d';

after(async () => {
  await cleanUpAfterCilium();
  for (const node of nodeNames) await kubectlRun('label', 'node', node, 'network-');
  await kubectlRun('uncordon', 'n3');
  await kubectlRun('taint', 'node', 'n3', `${taint}-`);
  await install();
  await untilReady();
  await tablesEqualApi();
});

/** The agent's pod on n3, or none. */
async function agentPods(): Promise<number> {
  const { items } = await kubectlJson<{ items: Pod[] }>(
    ...['--namespace', system, 'get', 'pods', '-l', 'app.kubernetes.io/name=sluice-agent'],
    ...['--field-selector', 'spec.nodeName=n3'],
  );
  return items.length;
}

/** Devices, chains, the CNI configuration and the taint, as its documentation and sources have them. */
async function becomeCiliums(): Promise<void> {
  const conflist = JSON.stringify({ cniVersion: '0.3.1', name: 'cilium', plugins: [{ type: 'cilium-cni' }] });
  const script = `set -e
    rm -f ${configurations}/*
    echo '${conflist}' >${configurations}/05-cilium.conflist
    ip link add cilium_host type veth peer name cilium_net
    ip link add cilium_vxlan type vxlan external dstport 8472
    ip link set cilium_vxlan up
    iptables -N CILIUM_FORWARD
    iptables -A CILIUM_FORWARD -o cilium_host -j ACCEPT
    iptables -A FORWARD -j CILIUM_FORWARD
    iptables -t nat -N CILIUM_POST_nat
    iptables -t nat -A POSTROUTING -j CILIUM_POST_nat`;
  await on('n3', 'sh', '-c', script);
  await kubectl('taint', 'node', 'n3', `${taint}=:NoSchedule`, '--overwrite');
}

/** What `cilium-dbg post-uninstall-cleanup\` takes away, as far as it is there. */
async function cleanUpAfterCilium(): Promise<void> {
  const script = `ip link delete cilium_host
    ip link delete cilium_vxlan
    iptables -D FORWARD -j CILIUM_FORWARD
    iptables -F CILIUM_FORWARD
    iptables -X CILIUM_FORWARD
    iptables -t nat -D POSTROUTING -j CILIUM_POST_nat
    iptables -t nat -X CILIUM_POST_nat`;
  await onRun('n3', 'sh', '-c', script);
}

test('a node that was Cilium’s changes over: what is left is named, its CNI configuration stands aside, its taint goes', async () => {
  await using namespace = await testNamespace('story-cilium');
  await web({ namespace: namespace.name, name: 'web', replicas: 2, node: 'n2' });
  await namespace.kubectl('rollout', 'status', 'deployment/web', '--timeout=60s');
  const address = await namespace.kubectl('get', 'service', 'web', '-o', 'jsonpath={.spec.clusterIP}');
  const url = `http://${address}/hostname`;
  const traffic = await startTraffic(namespace, { name: 'client', node: 'n1', url });

  for (const [node, network] of [
    ['n1', 'sluice'],
    ['n2', 'sluice'],
    ['n3', 'cilium'],
  ] as const)
    await kubectl('label', 'node', node, `network=${network}`, '--overwrite');
  await kubectl('drain', 'n3', '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=120s');
  await install('--set', 'nodeSelector.network=sluice');
  await eventually(90, async () => assert.equal(await agentPods(), 0));
  await sluice('n3', 'cleanup');
  await becomeCiliums();
  const { stdout: diagnosis } = await onRun('n3', process.execPath, join(root, 'dist/sluice.js'), 'doctor');
  for (const left of [
    /device cilium_vxlan/,
    /cilium_host/,
    /1 iptables rule of cilium/,
    /05-cilium\.conflist .* comes before/,
  ])
    assert.match(diagnosis, left);

  await cleanUpAfterCilium();
  await kubectl('label', 'node', 'n3', 'network=sluice', '--overwrite');
  await kubectl('uncordon', 'n3');
  await untilReady();
  assert.match(await on('n3', 'ls', configurations), /^05-cilium\.conflist\.sluice-aside$/m);
  await eventually(60, async () =>
    assert.doesNotMatch(await kubectl('get', 'node', 'n3', '-o', 'jsonpath={.spec.taints}'), /cilium/),
  );
  await pod({ namespace: namespace.name, name: 'late', node: 'n3' });
  await namespace.kubectl('wait', '--for=condition=Ready', 'pod/late', '--timeout=120s');
  await eventually(30, async () => assert.match(await namespace.exec('late', 'curl', '-sS', '-m', '2', url), /^web-/));
  await traffic.mustBeWhole();
  await tablesEqualApi();
});
